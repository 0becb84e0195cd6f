import { z } from 'zod';
import type { Json } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';
import { defineTool, type Tool } from '../tool.js';

/** JSON text of a stored value of this owner; undefined: none, or another's. */
export type ReadValueText = (ownerId: string, ref: string) => Promise<string | undefined>;

const MAX_PIECE = 24_000;
const Parameters = z.strictObject({
  ref: z.string().regex(/^val_[0-9A-Za-z]{1,100}$/, 'Expected the ref of a value, val_…'),
  offset: z.int().min(0).default(0).describe('First character'),
  length: z.int().min(1).max(MAX_PIECE).default(MAX_PIECE),
});

/** `values:read`: what was too large to be shown, in pieces. A text is given as it is, anything else as JSON text. */
export function createReadValueTool(read: ReadValueText): Tool {
  return defineTool<z.infer<typeof Parameters>>({
    id: 'values:read',
    description: 'Reads a piece of a large value by its ref; nextOffset reads on, null at the end',
    risk: 'low',
    parameters: Parameters,
    repeats: 'read_only',
    light: true,
    limitMs: () => 30_000,
    async run({ ref, offset, length }, { ownerId }) {
      const json = await read(ownerId, ref);
      if (json === undefined) throw new StepFault('tool_failed', `There is no value ${ref}`, { details: { ref } });
      return pieceOf(json.startsWith('"') ? (JSON.parse(json) as string) : json, ref, offset, length);
    },
  });
}

/** Never half of a surrogate pair, at either end: a piece of one character is then two long. */
function pieceOf(text: string, ref: string, offset: number, length: number): Json {
  const start = isMiddle(text, offset) ? offset + 1 : Math.min(offset, text.length);
  const wanted = Math.min(start + length, text.length);
  const end = isMiddle(text, wanted) ? wanted + (length > 1 ? -1 : 1) : wanted;
  return { ref, characters: text.length, offset: start, text: text.slice(start, end), nextOffset: end < text.length ? end : null };
}

const isMiddle = (text: string, at: number): boolean => /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(at - 1, at + 1));
