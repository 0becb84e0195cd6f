/** Random definitions and random worlds for them: whatever is drawn, the run must end. */
import * as fc from 'fast-check';
import type { AgentScript } from './agent-world.js';
import type { Reply } from './driver.js';
import type { Written } from './steps.js';

type Draw = Omit<Written, 'id'>;

/** A definition's steps, ids given in document order; small, but of every step type and with every modifier. */
export const randomSteps: fc.Arbitrary<Written[]> = fc.array(stepOf(3), { minLength: 1, maxLength: 4 }).map((steps) => withIds(steps));

function stepOf(depth: number): fc.Arbitrary<Draw> {
  const leaves = [
    { weight: 6, arbitrary: fc.constant({ type: 'tool', tool: 'http:request', arguments: { n: '{{n}}', last: '{{outputs}}' } }) },
    {
      weight: 4,
      arbitrary: fc.constantFrom({ type: 'set', values: { n: '{{(n ?? 0) + 1}}' } }, { type: 'set', values: { m: '{{1 / (n - 2)}}' } }),
    },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom('default', '@new', 'x{{n}}')
        .map((thread) => ({ type: 'agent_prompt', prompt: 'say {{n}}', thread, await_timeout_ms: 5_000, maxTurns: 4 })),
    },
    { weight: 2, arbitrary: fc.constantFrom({ type: 'wait', duration: '20ms' }, { type: 'wait', duration: '2s' }) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom('cancel', 'fail', 'continue')
        .map((onDeny) => ({ type: 'approval', timeout: '1s', onDeny, onTimeout: onDeny === 'fail' ? 'fail' : 'deny' })),
    },
    { weight: 1, arbitrary: fc.constant({ type: 'wait_for_event', event: 'go', match: 'event.payload != n', timeout: '1s' }) },
    { weight: 1, arbitrary: fc.boolean().map((awaits) => ({ type: 'subworkflow', workflow: 'w', await: awaits })) },
  ];
  const rare = { weight: 1, arbitrary: fc.constantFrom('completed', 'failed', 'cancelled').map((outcome) => ({ type: 'stop', outcome })) };
  if (depth === 0) return modified(fc.oneof(...leaves));
  const block = fc.array(stepOf(depth - 1), { minLength: 1, maxLength: 3 });
  return modified(fc.oneof(...leaves, rare, { weight: 9, arbitrary: container(block) }));
}

function container(block: fc.Arbitrary<Draw[]>): fc.Arbitrary<Draw> {
  return fc.oneof(
    fc.record({ type: fc.constant('conditional'), condition: fc.constantFrom('n == 1', 'true', 'false'), then: block, else: block }),
    fc.tuple(block, block).map(([one, other]) => ({ type: 'switch', cases: [{ when: 'n == 1', steps: one }], default: other })),
    fc.record({
      type: fc.constant('loop'),
      over: fc.constantFrom([], [1], [1, 2, 3]),
      steps: block,
      concurrency: fc.constantFrom(1, 2, 5),
      onItemError: fc.constantFrom('fail', 'continue'),
      collect: fc.constantFrom('loop.item', 'n', '1 / (loop.item - 2)'),
      until: fc.constantFrom('false', 'loop.index == 1'),
    }),
    fc
      .tuple(
        fc.array(block, { minLength: 1, maxLength: 3 }),
        fc.constantFrom<string | number>('all', 'any', 2),
        fc.constantFrom('fail', 'continue'),
      )
      .map(([branches, wait, onBranchError]) => ({
        type: 'parallel',
        branches: branches.map((steps, index) => ({ id: `b${index}`, steps })),
        wait: wait === 2 && branches.length < 2 ? 'all' : wait,
        onBranchError,
      })),
    fc.tuple(block, fc.option(block), fc.option(block), fc.constantFrom(['*'], ['http_5*'])).map(([steps, handler, last, codes]) => ({
      type: 'try',
      steps,
      ...(handler === null ? {} : { catch: [{ codes, as: 'e', steps: handler }] }),
      ...(last === null && handler !== null ? {} : { finally: last ?? steps.slice(0, 1) }),
    })),
  );
}

function modified(steps: fc.Arbitrary<Draw>): fc.Arbitrary<Draw> {
  const more = fc.record(
    {
      timeout: fc.constantFrom('500ms', '3s'),
      retry: fc.constant({ maxAttempts: 2, initialInterval: 30, on: ['*'] }),
      onError: fc.constant('continue'),
      when: fc.constantFrom('n != 1', 'true'),
    },
    { requiredKeys: [] },
  );
  return fc
    .tuple(steps, fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: more }))
    .map(([step, extra]) => ({ ...extra, ...step }));
}

function withIds(steps: readonly Draw[]): Written[] {
  let count = 0;
  const name = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(name);
    if (typeof value !== 'object' || value === null) return value;
    const isStep = 'type' in value && typeof value.type === 'string';
    const id = isStep ? { id: `s${(count += 1)}` } : {};
    return { ...Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, name(inner)])), ...id };
  };
  return steps.map((step) => name(step) as Written);
}

/** A reply that depends on nothing but the call and the world's number. */
export function randomReply(
  world: number,
): (call: { readonly stepId: string; readonly iterationPath: string; readonly attempt: number }) => Reply {
  return ({ stepId, iterationPath, attempt }) => {
    const draw = hash(`${world}|${stepId}|${iterationPath}|${attempt}`);
    const afterMs = [0, 1, 20, 300, 1_500][draw % 5] ?? 0;
    if (draw % 7 === 3) return { afterMs, error: { code: draw % 2 === 0 ? 'http_503' : 'tool_failed', retryable: true } };
    if (draw % 23 === 5) return { lost: true, afterMs };
    return { afterMs, output: draw % 11 };
  };
}

/** What models say and tools take in that world: turns of calls, some of them held, failovers, silence, answers that never come. */
export function randomAgent(world: number): AgentScript {
  return {
    models: ['m1', 'm2'],
    characters: 300,
    says: ({ stepId, iterationPath, attempt, call }) => {
      const draw = hash(`${world}|says|${stepId}|${iterationPath}|${attempt}|${call}`);
      const afterMs = [0, 1, 20, 300][draw % 4] ?? 0;
      const tokens = { input: 100, output: draw % 90 };
      if (draw % 5 === 0)
        return { calls: [`t${call}`, `held${call}`, `shell${call}`, `refused${call}`].slice(0, 1 + (draw % 4)), tokens, afterMs };
      if (draw % 7 === 1) return { fault: { code: 'agent_prompt_model_error', failover: draw % 2 === 0, retryable: true }, afterMs };
      if (draw % 11 === 2) return { misfit: 'no JSON', tokens, afterMs };
      if (draw % 19 === 3) return { never: true, tokens };
      if (draw % 23 === 4) return { lost: true };
      return { text: draw % 11, tokens, afterMs };
    },
    tool: (callId) => {
      const draw = hash(`${world}|tool|${callId}`);
      if (draw % 17 === 3) return { lost: true };
      return draw % 13 === 2 ? { never: true } : { afterMs: draw % 400 };
    },
  };
}

export function hash(text: string): number {
  let value = 2_166_136_261;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 16_777_619) >>> 0;
  return (value ^ (value >>> 13)) >>> 0;
}
