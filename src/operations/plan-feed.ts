/**
 * How a chat shows a session's feed (reference §4): stretches of plain messages, containers of steps that speak, cards of steps that do not.
 * Pure, and without imports at run time: the browser has it too.
 */
import type { WireFeedItem } from './session-feed.js';
import type { WireStep } from './wire.js';
import type { WireMessage } from './wire-session.js';

export type PlanItem =
  | { readonly kind: 'messages'; readonly messages: readonly WireMessage[] }
  /** A step that says nothing: a card. */
  | ({ readonly kind: 'step' } & PlannedStep)
  /** A step with messages of its own; of a row not (or not yet) there, its messages alone. */
  | ({
      readonly kind: 'step-container';
      /** Prompts, and the turns that were kept or still stream. */
      readonly messages: readonly WireMessage[];
      /** Turns that were given up: folded. */
      readonly previous: readonly WireMessage[];
    } & PlannedStep);

export interface PlannedStep {
  /** `executionId#stepId#iterationPath`: attempts share it. */
  readonly key: string;
  readonly executionId: string;
  readonly stepId: string;
  readonly iterationPath: string;
  /** Its attempts, the first one first; the last one says how it stands. */
  readonly attempts: readonly WireStep[];
}

interface Collected {
  readonly executionId: string;
  readonly stepId: string;
  readonly iterationPath: string;
  readonly attempts: WireStep[];
  readonly messages: WireMessage[];
}

const BLOCKS: ReadonlySet<string> = new Set(['conditional', 'switch', 'loop', 'parallel', 'try']);

/**
 * Plans the items of a feed, which are in time order. A step stands once, where the earliest item of it does; plain messages before and behind it
 * stay stretches of their own. Blocks are the labels of what is in them; one that failed before anything was in it is a card.
 */
export function planFeed(items: readonly WireFeedItem[]): PlanItem[] {
  const steps = new Map<string, Collected>();
  const order: (string | WireMessage)[] = [];
  for (const item of items) {
    const of = placeOf(item);
    if (of === undefined) {
      if (item.kind === 'message') order.push(item.message);
      continue;
    }
    const key = `${of.executionId}#${of.stepId}#${of.iterationPath}`;
    const known = steps.get(key);
    const collected = known ?? { ...of, attempts: [], messages: [] };
    if (known === undefined) {
      steps.set(key, collected);
      order.push(key);
    }
    if (item.kind === 'step') collected.attempts.push(item.step);
    else collected.messages.push(item.message);
  }
  return inStretches(order, steps);
}

function placeOf(item: WireFeedItem): Pick<Collected, 'executionId' | 'stepId' | 'iterationPath'> | undefined {
  if (item.kind === 'step') return { executionId: item.executionId, stepId: item.step.stepId, iterationPath: item.step.iterationPath };
  const { executionId, stepId, iterationPath } = item.message;
  return executionId === null || stepId === null ? undefined : { executionId, stepId, iterationPath: iterationPath ?? '' };
}

function inStretches(order: readonly (string | WireMessage)[], steps: ReadonlyMap<string, Collected>): PlanItem[] {
  const plan: PlanItem[] = [];
  let stretch: WireMessage[] = [];
  const endStretch = (): void => {
    if (stretch.length > 0) plan.push({ kind: 'messages', messages: stretch });
    stretch = [];
  };
  for (const entry of order) {
    const step = typeof entry === 'string' ? steps.get(entry) : undefined;
    if (typeof entry !== 'string') stretch.push(entry);
    else if (step !== undefined && isShown(step, steps)) {
      endStretch();
      plan.push(toItem(entry, step));
    }
  }
  endStretch();
  return plan;
}

function isShown(step: Collected, steps: ReadonlyMap<string, Collected>): boolean {
  const row = step.attempts.at(-1);
  if (row === undefined || !BLOCKS.has(row.type) || step.messages.length > 0) return true;
  if (row.status !== 'failed') return false;
  const inside = `${step.iterationPath === '' ? '' : `${step.iterationPath}/`}${step.stepId}:`;
  return ![...steps.values()].some((other) => other.executionId === step.executionId && other.iterationPath.startsWith(inside));
}

function toItem(key: string, { attempts, messages, ...place }: Collected): PlanItem {
  const sorted = attempts.toSorted((a, b) => a.attempt - b.attempt);
  if (messages.length === 0) return { kind: 'step', key, ...place, attempts: sorted };
  const isGivenUp = ({ turn }: WireMessage): boolean => turn?.status === 'canceled';
  return {
    kind: 'step-container',
    key,
    ...place,
    attempts: sorted,
    messages: messages.filter((message) => !isGivenUp(message)),
    previous: messages.filter(isGivenUp),
  };
}
