import type { FileHandle } from 'node:fs/promises';

/** Of a file, from its start: what lies behind is for commands. */
export const MAX_READ_BYTES = 8 * 1024 * 1024;
const SNIFFED = 8_192;

export interface FileText {
  readonly bytes: number;
  /** Null: not text (a NUL character, or no UTF-8). */
  readonly text: string | null;
  /** The file is larger than what was read. */
  readonly isCut: boolean;
}

/** The text of an open file. A character that the cut splits is left out. */
export async function readText(handle: FileHandle, maxBytes = MAX_READ_BYTES): Promise<FileText> {
  const { size } = await handle.stat();
  const buffer = Buffer.allocUnsafe(Math.min(size, maxBytes));
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
    // The rest of a large binary file need not be read.
    if (buffer.subarray(0, Math.min(filled, SNIFFED)).includes(0)) return { bytes: size, text: null, isCut: size > filled };
  }
  const isCut = size > filled;
  return { bytes: size, text: toText(buffer.subarray(0, filled), isCut), isCut };
}

function toText(bytes: Buffer, isCut: boolean): string | null {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: isCut });
  } catch {
    return null;
  }
}
