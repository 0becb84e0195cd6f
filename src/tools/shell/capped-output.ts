import { StringDecoder } from 'node:string_decoder';

export const OUTPUT_LIMIT = 64_000;
/** Kept beyond the limit, so that a secret which the cut would split is still recognised. */
const SLACK = 64_000;

/** One output stream: keeps the beginning, counts the rest. */
export class CappedOutput {
  private readonly decoder = new StringDecoder('utf8');
  private kept = '';
  private characters = 0;

  add(chunk: Buffer): void {
    this.append(this.decoder.write(chunk));
  }

  /** The text, secrets out of it, cut at 64 000 characters with a marker that says how much is missing. */
  finish(redact: (text: string) => string): string {
    this.append(this.decoder.end());
    const text = redact(this.kept);
    const missing = this.characters - this.kept.length + Math.max(0, text.length - OUTPUT_LIMIT);
    if (missing === 0) return text;
    return `${text.slice(0, OUTPUT_LIMIT)}\n[output cut: ${missing} more characters]`;
  }

  private append(text: string): void {
    this.characters += text.length;
    const room = OUTPUT_LIMIT + SLACK - this.kept.length;
    if (room > 0) this.kept += text.slice(0, room);
  }
}
