/** Takes secrets out of a text that comes in pieces: what may be the beginning of one is held back until it is known. */
import type { Redactor } from './redaction.js';

export class StreamRedactor {
  private held = '';
  /** Forms by their first character: most tails begin like none. */
  private readonly byFirst = new Map<string, string[]>();
  private readonly longest: number;

  constructor(private readonly redactor: Redactor) {
    this.longest = redactor.forms[0]?.length ?? 0;
    for (const form of redactor.forms) this.byFirst.set(form.charAt(0), [...(this.byFirst.get(form.charAt(0)) ?? []), form]);
  }

  /** The next piece. @returns what may be shown now */
  push(piece: string): string {
    if (this.redactor.isIdle) return piece;
    const text = this.held + piece;
    const end = this.settledEnd(text);
    this.held = text.slice(end);
    return this.redactor.text(text.slice(0, end));
  }

  /** The text has ended. @returns what was held back */
  flush(): string {
    const rest = this.redactor.text(this.held);
    this.held = '';
    return rest;
  }

  /** Up to where nothing that follows can change what is a secret. A secret that stands whole across that place belongs to it. */
  private settledEnd(text: string): number {
    let end = this.startOfTail(text, 0);
    for (const { from, to } of this.redactor.places(text)) if (from < end && to > end) end = this.startOfTail(text, to);
    return end;
  }

  /** Where the longest tail from `from` on begins that some form begins with, without being all of it; the text's length when none does. */
  private startOfTail(text: string, from: number): number {
    for (let at = Math.max(from, text.length - this.longest + 1); at < text.length; at += 1) {
      const tail = text.slice(at);
      const forms = this.byFirst.get(tail.charAt(0)) ?? [];
      if (forms.some((form) => form.length > tail.length && form.startsWith(tail))) return at;
    }
    return text.length;
  }
}
