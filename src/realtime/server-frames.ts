/** Frames that the gateway sends (api.md, WebSocket), as the bytes that go out. What many sockets get is written once. */
import type { Delta } from '../store/deltas.js';
import type { FrameId } from './client-frames.js';
import type { LogFrame } from './event-hub.js';

export type ServerFrame =
  | { readonly type: 'hello'; readonly serverTime: string; readonly version: string; readonly heartbeatMs: number }
  | { readonly type: 'subscribed'; readonly id: FrameId; readonly channel: string; readonly cursor: number }
  | { readonly type: 'snapshot'; readonly channel: string; readonly cursor: number; readonly data: object }
  | { readonly type: 'reset' | 'lagged'; readonly channel: string }
  | { readonly type: 'result'; readonly id: FrameId; readonly [field: string]: unknown }
  | { readonly type: 'error'; readonly id?: FrameId; readonly code: string; readonly message: string; readonly [field: string]: unknown }
  | { readonly type: 'pong' };

export const toFrame = (frame: ServerFrame): Buffer => Buffer.from(JSON.stringify(frame));

/** An event or a delta is told on one channel alone, so that its bytes can be kept by itself. */
const events = new WeakMap<LogFrame, Buffer>();
const deltas = new WeakMap<Delta, Buffer>();

export function toEventFrame(channel: string, frame: LogFrame): Buffer {
  let bytes = events.get(frame);
  if (bytes === undefined) {
    bytes = Buffer.from(`{"type":"event","channel":${JSON.stringify(channel)},"seq":${frame.seq},"event":${frame.json}}`);
    events.set(frame, bytes);
  }
  return bytes;
}

export function toDeltaFrame(channel: string, delta: Delta): Buffer {
  let bytes = deltas.get(delta);
  if (bytes === undefined) {
    const { turnId, attempt, part, offset, text } = delta;
    bytes = Buffer.from(JSON.stringify({ type: 'delta', channel, turnId, attempt, part, offset, text }));
    deltas.set(delta, bytes);
  }
  return bytes;
}
