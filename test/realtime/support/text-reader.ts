/** Reduces frames to texts by the rules of docs/realtime.md, and notes what a strict reader would not forgive. */
import type { Frame, SocketClient } from './socket-client.js';

interface Message {
  readonly parts: readonly { readonly type: string; readonly text?: string }[];
  readonly turn?: { readonly id: string; readonly status: string } | null;
}

export class TextReader {
  /** Text by turn and part. */
  readonly texts = new Map<string, string[]>();
  readonly statuses = new Map<string, string>();
  private readonly started = new Set<string>();
  readonly faults: string[] = [];
  readonly keys: string[] = [];
  lastSeq = 0;

  constructor(client?: SocketClient) {
    if (client !== undefined) for (const frame of client.frames) this.take(frame);
  }

  take(frame: Frame): void {
    if (frame.type === 'snapshot') {
      for (const message of (frame.data?.['messages'] ?? []) as readonly Message[]) {
        this.started.add(message.turn?.id ?? '');
        this.message(message);
      }
      this.lastSeq = Number(frame.cursor);
    } else if (frame.type === 'event') {
      if (this.lastSeq > 0 && frame.seq !== this.lastSeq + 1) this.faults.push(`event ${frame.seq} behind ${this.lastSeq}`);
      this.lastSeq = Number(frame.seq);
      const message = frame.event?.data['message'] as Message | undefined;
      if (frame.event?.kind === 'turn.started') this.started.add(message?.turn?.id ?? '');
      if (message !== undefined) this.message(message);
    } else if (frame.type === 'delta') this.delta(frame);
  }

  textOf(turnId: string): string {
    return (this.texts.get(turnId) ?? []).join('');
  }

  /** Of open turns, what this reader has. */
  get known(): { readonly [turnId: string]: { readonly [part: string]: number } } {
    return Object.fromEntries(
      [...this.texts]
        .filter(([turnId]) => this.statuses.get(turnId) === 'streaming')
        .map(([turnId, parts]) => [turnId, Object.fromEntries(parts.map((text, part) => [part, text.length]))]),
    );
  }

  private message({ turn, parts }: Message): void {
    if (turn === undefined || turn === null) return;
    this.statuses.set(turn.id, turn.status);
    const texts = this.texts.get(turn.id) ?? [];
    parts.forEach((part, index) => {
      const text = part.type === 'text' ? (part.text ?? '') : '';
      const before = texts[index] ?? '';
      if (!text.startsWith(before) && !before.startsWith(text)) this.faults.push(`another text in ${turn.id} part ${index}`);
      if (text.length >= before.length) texts[index] = text;
    });
    this.texts.set(turn.id, texts);
  }

  private delta({ turnId = '', attempt = 0, part = 0, offset = -1, text = '' }: Frame): void {
    const key = `${turnId} ${attempt} ${part} ${offset}`;
    if (this.keys.includes(key)) this.faults.push(`repeated ${key}`);
    this.keys.push(key);
    const texts = this.texts.get(turnId);
    if (texts === undefined || !this.started.has(turnId)) {
      this.faults.push(`text before the start of turn ${turnId}`);
      return;
    }
    const before = texts[part] ?? '';
    if (offset !== before.length) this.faults.push(`delta at ${offset}, has ${before.length}`);
    else texts[part] = before + text;
    if (this.statuses.get(turnId) !== 'streaming') this.faults.push(`delta behind the end of ${turnId}`);
  }
}
