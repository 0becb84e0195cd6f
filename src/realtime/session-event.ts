/** Events as a session's readers see them: Event's shape, the session, and for steps the card's content in one place. Pure. */
import type { Json } from '../definition/value.js';
import { toWireEvent } from '../operations/wire.js';
import type { EventRecord } from '../store/event-log.js';

/** The state of a step's row that an event of this kind tells. */
const STEP_STATUS: Readonly<Record<string, string>> = {
  'step.started': 'running',
  'step.completed': 'completed',
  'step.failed': 'failed',
  'step.cancelled': 'cancelled',
  'step.skipped': 'skipped',
};

/** What the definition calls a step. */
export type StepTitle = { readonly name: string | null; readonly type: string };

/** `seq` is the session's numbering; `data.message`, `data.turn` or `data.step` has what the event is about, `turnId` whose turn it is of. */
export function toSessionEvent(record: EventRecord, title?: StepTitle) {
  const event = toWireEvent(record);
  const turnId = turnIdOf(record);
  return { ...event, sessionId: record.sessionId, ...(turnId === undefined ? {} : { turnId }), data: withStep(record, title) };
}

/** Of an event about a turn, or about a message that is one. */
function turnIdOf({ kind, data }: EventRecord): string | undefined {
  if (!kind.startsWith('turn.') && !kind.startsWith('message.')) return undefined;
  const { message } = isObject(data) ? data : {};
  const turn = message !== undefined && isObject(message) ? message['turn'] : undefined;
  const id = turn !== undefined && isObject(turn) ? turn['id'] : undefined;
  return typeof id === 'string' ? id : undefined;
}

function withStep({ kind, stepId, iterationPath, attempt, data }: EventRecord, title: StepTitle | undefined): Json {
  if (stepId === null || !kind.startsWith('step.')) return data;
  const told = isObject(data) ? data : {};
  const { input, output, error, warnings } = told;
  const step: { [key: string]: Json } = { stepId, iterationPath: iterationPath ?? '', attempt: attempt ?? 1, ...title };
  const status = kind === 'step.waiting' ? (told['for'] === 'approval' ? 'waiting_approval' : 'waiting_event') : STEP_STATUS[kind];
  if (status !== undefined) step['status'] = status;
  if (input !== undefined) step['input'] = input;
  if (output !== undefined) step['output'] = output;
  if (error !== undefined) step['error'] = error;
  if (warnings !== undefined) step['warnings'] = warnings;
  return { ...told, step };
}

const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
