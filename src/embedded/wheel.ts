/** Reads one file out of a wheel (a zip archive), without Python or unzip. */
import { inflateRawSync } from 'node:zlib';

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;

/**
 * @param archive the whole file; neither zip64 nor encrypted entries
 * @param isWanted chosen by the entry's name
 * @throws when the archive has no such entry or is damaged
 */
export function readWheelEntry(archive: Buffer, isWanted: (name: string) => boolean): Buffer {
  const entry = directoryOf(archive).find(({ name }) => isWanted(name));
  if (entry === undefined) throw new Error('the wheel does not hold the file');
  // The local header repeats the name and has an extra field of a length of its own.
  const start = entry.offset + 30 + archive.readUInt16LE(entry.offset + 26) + archive.readUInt16LE(entry.offset + 28);
  const bytes = archive.subarray(start, start + entry.packedBytes);
  const content = entry.method === 0 ? bytes : inflateRawSync(bytes);
  if (content.length !== entry.bytes)
    throw new Error(`the wheel is damaged: ${entry.name} has ${content.length} bytes, not ${entry.bytes}`);
  return content;
}

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly offset: number;
}

function directoryOf(archive: Buffer): Entry[] {
  const end = archive.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0 || archive.readUInt32LE(end) !== END_OF_DIRECTORY) throw new Error('not a zip archive');
  const entries: Entry[] = [];
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    if (archive.readUInt32LE(at) !== DIRECTORY_ENTRY) throw new Error('the archive has no directory');
    const nameBytes = archive.readUInt16LE(at + 28);
    entries.push({
      name: archive.toString('utf8', at + 46, at + 46 + nameBytes),
      method: archive.readUInt16LE(at + 10),
      packedBytes: archive.readUInt32LE(at + 20),
      bytes: archive.readUInt32LE(at + 24),
      offset: archive.readUInt32LE(at + 42),
    });
    at += 46 + nameBytes + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  return entries;
}
