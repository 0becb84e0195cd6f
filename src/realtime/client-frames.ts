/** Frames that a client sends (api.md, WebSocket): parsed once, here. Pure. */
import { z } from 'zod';
import { findJsonFault } from '../definition/json-check.js';
import type { Json } from '../definition/value.js';
import { MAX_MESSAGE_CHARACTERS } from '../operations/send-message.js';
import { toStorableText } from '../store/json-text.js';

/** The client's own: it comes back with the answer. */
const Id = z.union([z.string().min(1).max(200), z.number().int()]);
/** Ids of ours; a scheduled run's ends in its nominal time. */
const RowId = z.string().regex(/^[A-Za-z0-9_:.-]{1,200}$/, 'Expected an id');
const Text = (min: number, max: number) =>
  z
    .string()
    .min(min)
    .max(max)
    .refine((text) => toStorableText(text) === text, 'The text holds a NUL character or half of a surrogate pair');
const Seq = z.number().int().min(0).max(2_147_483_647);

const Subscribe = z.object({
  type: z.literal('subscribe'),
  id: Id,
  channel: z.string().min(1).max(300),
  after: Seq.nullish(),
  /** Of open turns, how much of each text part the client has: what follows is told at once. */
  texts: z.record(z.string().max(200), z.record(z.string().regex(/^\d{1,6}$/), Seq)).nullish(),
});
const Unsubscribe = z.object({ type: z.literal('unsubscribe'), id: Id });
const Send = z.object({
  type: z.literal('send'),
  id: Id,
  sessionId: RowId,
  content: Text(1, MAX_MESSAGE_CHARACTERS).refine((content) => content.trim() !== '', 'Expected some text'),
  clientMessageId: Text(1, 200),
});
const Stop = z.object({ type: z.literal('stop'), id: Id, sessionId: RowId, turnId: RowId.nullish() });
const Decide = z.object({
  type: z.literal('decide'),
  id: Id,
  approvalId: RowId,
  decision: z.enum(['approve', 'deny']),
  reason: Text(0, 4_000).nullish(),
  /** JSON that `parseClientFrame` has looked at. */
  answer: z.custom<Json>(() => true).nullish(),
});
const Ping = z.object({ type: z.literal('ping') });

const ClientFrameSchema = z.discriminatedUnion('type', [Subscribe, Unsubscribe, Send, Stop, Decide, Ping]);
const TYPES = ['subscribe', 'unsubscribe', 'send', 'stop', 'decide', 'ping'];

export type ClientFrame = z.infer<typeof ClientFrameSchema>;
export type FrameId = z.infer<typeof Id>;

export type ParsedFrame =
  | { readonly ok: true; readonly frame: ClientFrame }
  | { readonly ok: false; readonly id?: FrameId; readonly code: 'bad_request' | 'validation_failed'; readonly message: string };

/** A text frame as a client frame, or what is wrong with it. */
export function parseClientFrame(text: string): ParsedFrame {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, code: 'bad_request', message: 'Expected a frame of JSON' };
  }
  const fault = findJsonFault(json);
  if (fault !== undefined) return { ok: false, code: 'bad_request', message: fault.message };
  const parsed = ClientFrameSchema.safeParse(json);
  if (parsed.success) return { ok: true, frame: parsed.data };
  const given = typeof json === 'object' && json !== null ? (json as { readonly id?: unknown; readonly type?: unknown }) : {};
  const id = Id.safeParse(given.id);
  const isKnown = typeof given.type === 'string' && TYPES.includes(given.type);
  return {
    ok: false,
    ...(id.success ? { id: id.data } : {}),
    code: isKnown ? 'validation_failed' : 'bad_request',
    message: isKnown ? faultsOf(parsed.error) : `Expected a frame of type ${TYPES.join(', ')}`,
  };
}

const faultsOf = (error: z.ZodError): string =>
  error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join('/')}: ${issue.message}`)
    .join('; ');

/** What a channel's name means. A channel is split at its first colon. */
export type Channel = StreamChannel | { readonly kind: 'executions' } | { readonly kind: 'approvals' };
export type StreamChannel = { readonly kind: 'session'; readonly id: string } | { readonly kind: 'execution'; readonly id: string };

/** @returns undefined for a name that is no channel's */
export function parseChannel(name: string): Channel | undefined {
  if (name === 'executions' || name === 'approvals') return { kind: name };
  const colon = name.indexOf(':');
  const [kind, id] = [name.slice(0, colon), name.slice(colon + 1)];
  if (colon < 0 || id === '') return undefined;
  return kind === 'session' || kind === 'execution' ? { kind, id } : undefined;
}

/** Whether there may be a row of this id. */
export const isRowId = (id: string): boolean => RowId.safeParse(id).success;
