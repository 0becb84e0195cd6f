/**
 * One small execution for each construct, with what the outside does to it. The recorder writes their histories down, the
 * workflow tests run them against the present code. Ids, definitions and answers are fixed; change them only with a new recording.
 */
import type { WorkflowHandle } from '@temporalio/client';
import { childIdOf, type FakeTurn, type FakeWorld, fault, type Journal, largeOutput } from '../support/fake-activities.js';

type Step = { readonly [field: string]: unknown };

export interface Scenario {
  readonly name: string;
  readonly steps: readonly Step[];
  /** More fields of the definition. */
  readonly definition?: { readonly [field: string]: unknown };
  readonly world?: Omit<FakeWorld, 'children'>;
  /** Steps of the child that a subworkflow step starts, by its id, with `@<iteration path>` inside a container. */
  readonly children?: { readonly [stepId: string]: readonly Step[] };
  /** What the outside does while it runs. */
  readonly drive?: (run: Driven) => Promise<void>;
  readonly expected: 'completed' | 'failed' | 'cancelled';
  /** Its tool steps may run in segments. */
  readonly light?: true;
  /** Recorded on a server that suggests hand-over after 40 events. */
  readonly handsOver?: true;
}

export interface Driven {
  readonly handle: WorkflowHandle;
  readonly journal: Journal;
  /** Resolves when an event of this kind, or kind and `step@path`, has been written. */
  readonly seen: (event: string) => Promise<void>;
  readonly gateId: (stepId: string, iterationPath?: string) => string;
  readonly child: (at: string) => WorkflowHandle;
}

const tool = (id: string, fields: Step = {}): Step => ({ id, type: 'tool', tool: 'http:request', arguments: { url: 'https://example.test' }, ...fields });
const set = (id: string, values: Step = { x: 1 }): Step => ({ id, type: 'set', values });
const gate = (id: string, fields: Step = {}): Step => ({ id, type: 'approval', prompt: 'Go on?', ...fields });
const parallel = (id: string, branches: { readonly [branch: string]: readonly Step[] }, fields: Step = {}): Step => ({ id, type: 'parallel', branches: Object.entries(branches).map(([branch, steps]) => ({ id: branch, steps })), ...fields });
const loop = (id: string, fields: Step, steps: readonly Step[]): Step => ({ id, type: 'loop', ...fields, steps });

const agent = (id: string, fields: Step = {}): Step => ({ id, type: 'agent_prompt', prompt: 'Hello', ...fields });
const calls = (...ids: readonly string[]): FakeTurn => ({
  got: 'calls',
  characters: 10,
  calls: ids.map((callId) => ({ callId, queue: callId.includes('sh') ? 'shell' : 'core', way: callId.startsWith('held') ? 'hold' : callId.startsWith('no') ? 'refused' : 'run' })),
});
const misfit: FakeTurn = { got: 'misfit', characters: 50, problem: 'no JSON' };
const overloaded: FakeTurn = { got: 'fault', failover: true, error: { ...fault('agent_prompt_model_error', true), details: { status: 529, type: 'overloaded_error', model: 'model-1' } } };
const outputSchema = { n: { type: 'number' } };

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
};
const approve = (stepId: string, decision: 'approve' | 'deny' = 'approve', path = '') => async ({ handle, seen, gateId }: Driven): Promise<void> => {
  await seen('execution.waiting');
  await handle.signal('approve', { approvalId: gateId(stepId, path), decision, by: 'ana' });
};

export const SCENARIOS: readonly Scenario[] = [
  { name: 'tool', steps: [tool('a'), tool('b')], expected: 'completed' },
  { name: 'bash', steps: [{ id: 'b', type: 'bash', command: 'echo {{ execution.id }}' }], expected: 'completed' },
  { name: 'notify', steps: [{ id: 'n', type: 'notify', content: 'hi', target: 'chat' }], expected: 'completed' },
  { name: 'agent-prompt', steps: [{ id: 'a', type: 'agent_prompt', prompt: 'Hello' }], world: { replies: { a: { output: 'hello back' } } }, expected: 'completed' },
  { name: 'agent-tools', steps: [agent('a'), agent('b')], world: { replies: {}, turns: { a: [calls('t1', 'sh2', 'no3'), calls('t4')] } }, expected: 'completed' },
  { name: 'agent-repairs', steps: [agent('a', { outputSchema, models: ['m'] })], world: { replies: {}, turns: { a: [overloaded, misfit, misfit] } }, expected: 'completed' },
  { name: 'agent-misfits', steps: [agent('a', { outputSchema, onError: 'continue' }), agent('b')], world: { replies: {}, turns: { a: [misfit, misfit, misfit] } }, expected: 'completed' },
  { name: 'agent-fails', steps: [agent('a', { retry: { maxAttempts: 2, initialInterval: 20, on: ['*'] } })], world: { replies: { a: { error: fault('agent_prompt_model_error') } } }, expected: 'failed' },
  { name: 'agent-max-turns', steps: [agent('a', { maxTurns: 1 })], world: { replies: {}, turns: { a: [calls('t1')] } }, expected: 'failed' },
  { name: 'agent-times-out', steps: [agent('a', { await_timeout_ms: 1_000 })], world: { replies: {}, turns: { a: ['hang'] } }, expected: 'failed' },
  {
    name: 'agent-held', steps: [agent('a'), agent('b')], world: { replies: {}, turns: { a: [calls('held1', 't2')], b: [calls('held1')] } }, expected: 'completed',
    drive: async ({ handle, journal, gateId }) => {
      await until(() => journal.openings.includes('a'));
      await handle.signal('approve', { approvalId: `${gateId('a')}:held1`, decision: 'approve', by: 'ana' });
      await until(() => journal.openings.includes('b'));
      await handle.signal('approve', { approvalId: `${gateId('b')}:held1`, decision: 'deny', by: 'ana' });
    },
  },
  {
    name: 'shell-tools',
    steps: [parallel('p', { a: [agent('a')], b: [tool('w', { tool: 'files:write', arguments: { path: 'a.txt', content: '{{ execution.id }}' } }), tool('e', { tool: 'files:edit', arguments: { path: 'a.txt', oldText: 'x', newText: 'y' } })] })],
    world: { replies: {}, turns: { a: [calls('sh1', 'held-sh2', 't3'), calls('sh4')] } }, expected: 'completed',
    drive: async ({ handle, journal, gateId }) => {
      await until(() => journal.openings.some((opening) => opening.startsWith('a')));
      await handle.signal('approve', { approvalId: `${gateId('a', 'p:b0')}:held-sh2`, decision: 'approve', by: 'ana' });
    },
  },
  {
    name: 'agent-cancelled', steps: [parallel('p', { a: [agent('a')], b: [agent('b')] })], world: { replies: {}, turns: { a: ['hang'], b: [calls('held1')] } }, expected: 'cancelled',
    drive: async ({ handle, journal }) => {
      await until(() => journal.openings.includes('b') && journal.calls.some((call) => call.startsWith('a@p:b0#1 call 1')));
      await handle.cancel();
    },
  },
  { name: 'agent-budget', definition: { constraints: { maxTokens: 100 } }, steps: [parallel('p', { a: [agent('a')], b: [agent('b')], c: [agent('c')] })], world: { replies: {} }, expected: 'completed' },
  { name: 'agent-threads', steps: [agent('a'), parallel('p', { a: [agent('b'), agent('c', { thread: '@new' })], b: [agent('d', { thread: '{{ "x" }}' })] }), loop('l', { over: 'range(3)', concurrency: 3 }, [agent('e')]), agent('f')], world: { replies: {} }, expected: 'completed' },
  { name: 'agent-hands-over', steps: [agent('a')], world: { replies: {}, turns: { a: Array.from({ length: 12 }, (_, n) => calls(`t${n}`)) } }, expected: 'completed', handsOver: true },
  { name: 'set', steps: [set('a', { n: 1 }), set('b', { n: '{{ n + 1 }}', at: '{{ now() }}' })], expected: 'completed' },
  { name: 'conditional', steps: [set('a', { red: true }), { id: 'c', type: 'conditional', condition: 'red', then: [tool('yes')], else: [tool('no')] }], expected: 'completed' },
  { name: 'switch', steps: [{ id: 's', type: 'switch', cases: [{ when: 'false', steps: [tool('a')] }, { when: 'true', steps: [tool('b')] }], default: [tool('c')] }], expected: 'completed' },
  { name: 'when-skips', steps: [tool('a', { when: 'false' }), tool('b')], expected: 'completed' },
  { name: 'loop-over', steps: [loop('l', { over: '[1, 2, 3]' }, [tool('a')])], expected: 'completed' },
  { name: 'loop-concurrent', steps: [loop('l', { over: 'range(6)', concurrency: 3 }, [tool('a'), set('s', { i: '{{ loop.index }}' })])], world: { replies: { a: (_input, nth) => ({ afterMs: nth % 2 === 0 ? 60 : 10 }) } }, expected: 'completed' },
  { name: 'loop-while', definition: { variables: { n: { type: 'number', default: 0 } } }, steps: [loop('l', { while: 'n < 3' }, [set('s', { n: '{{ n + 1 }}' }), tool('a')])], expected: 'completed' },
  { name: 'loop-item-fails', steps: [loop('l', { over: 'range(3)', onItemError: 'continue' }, [tool('a')])], world: { replies: { a: [{}, { error: fault('http_500') }, {}] } }, expected: 'completed' },
  { name: 'parallel-all', steps: [parallel('p', { a: [tool('a')], b: [tool('b'), tool('c')], d: [{ id: 'w', type: 'wait', duration: '100ms' }] })], expected: 'completed' },
  { name: 'parallel-any', steps: [parallel('p', { a: [tool('a')], b: [tool('b')], c: [{ id: 'w', type: 'wait', duration: '1h' }] }, { wait: 'any' }), tool('after')], world: { replies: { a: { afterMs: 300 }, b: { hang: true } } }, expected: 'completed' },
  { name: 'parallel-fails-fast', steps: [parallel('p', { a: [tool('a')], b: [tool('b')] })], world: { replies: { a: { afterMs: 100, error: fault('http_500') }, b: { hang: true } } }, expected: 'failed' },
  { name: 'try-catch-finally', steps: [{ id: 't', type: 'try', steps: [tool('a')], catch: [{ codes: ['http_5*'], as: 'e', steps: [tool('b')] }], finally: [tool('c')] }], world: { replies: { a: { error: fault('http_500') } } }, expected: 'completed' },
  { name: 'wait', steps: [{ id: 'w', type: 'wait', duration: '200ms' }, { id: 'past', type: 'wait', until: '2020-01-01T00:00:00Z' }], expected: 'completed' },
  {
    name: 'wait-for-event', steps: [{ id: 'e', type: 'wait_for_event', event: 'paid', match: 'event.payload.id == 2', timeout: '1h' }, tool('a')], expected: 'completed',
    drive: async ({ handle, seen }) => {
      await seen('execution.waiting');
      await handle.signal('event', { id: 'evt_1', event: 'paid', payload: { id: 1 } });
      await handle.signal('event', { id: 'evt_2', event: 'paid', payload: { id: 2 } });
      await handle.signal('event', { id: 'evt_2', event: 'paid', payload: { id: 2 } });
    },
  },
  {
    name: 'event-early', steps: [tool('a'), { id: 'e', type: 'wait_for_event', event: 'go' }], world: { replies: { a: { afterMs: 400 } } }, expected: 'completed',
    drive: async ({ handle }) => await handle.signal('event', { id: 'evt_1', event: 'go', payload: null }),
  },
  { name: 'event-timeout', steps: [{ id: 'e', type: 'wait_for_event', event: 'never', timeout: '200ms' }], expected: 'failed' },
  { name: 'subworkflow', steps: [{ id: 'sub', type: 'subworkflow', workflow: 'child' }, tool('after')], children: { sub: [tool('inside')] }, expected: 'completed' },
  { name: 'subworkflow-fails', steps: [{ id: 'sub', type: 'subworkflow', workflow: 'child' }], children: { sub: [tool('inside')] }, world: { replies: { inside: { error: fault('http_500') } } }, expected: 'failed' },
  { name: 'subworkflow-not-awaited', steps: [{ id: 'free', type: 'subworkflow', workflow: 'child', await: false }, tool('after')], children: { free: [tool('inside')] }, expected: 'completed' },
  { name: 'subworkflow-not-found', steps: [{ id: 'sub', type: 'subworkflow', workflow: 'child' }], expected: 'failed' },
  { name: 'stop', steps: [{ id: 't', type: 'try', steps: [{ id: 's', type: 'stop', outcome: 'failed', message: 'no' }], finally: [tool('f')] }], expected: 'failed' },
  { name: 'retry', steps: [tool('a', { retry: { maxAttempts: 3, initialInterval: 50, backoff: 2 } })], world: { replies: { a: [{ error: fault('http_503', true) }, { error: fault('http_503', true) }, {}] } }, expected: 'completed' },
  { name: 'retry-of-container', steps: [{ id: 't', type: 'try', retry: { maxAttempts: 2, initialInterval: 20, on: ['*'] }, steps: [tool('a'), tool('b')] }], world: { replies: { b: [{ error: fault('http_500') }, {}] } }, expected: 'completed' },
  { name: 'platform-retry', steps: [tool('a')], world: { replies: {}, platformFaults: { a: 2 } }, expected: 'completed' },
  { name: 'container-timeout', steps: [loop('l', { over: 'range(5)', timeout: '300ms' }, [tool('a')])], world: { replies: { a: { hang: true } } }, expected: 'failed' },
  { name: 'on-error-continue', steps: [tool('a', { onError: 'continue' }), tool('b')], world: { replies: { a: { error: fault('http_404') } } }, expected: 'completed' },
  { name: 'gate-approved', steps: [tool('a'), gate('g'), tool('b')], drive: approve('g'), expected: 'completed' },
  { name: 'gate-denied', steps: [gate('g')], drive: approve('g', 'deny'), expected: 'cancelled' },
  { name: 'gate-expires', steps: [gate('g', { timeout: '200ms' })], expected: 'failed' },
  {
    name: 'gate-signal-while-opening', steps: [gate('g'), tool('b')], world: { replies: {}, platformFaults: { openGate: 2 } }, expected: 'completed',
    drive: async ({ handle, journal, gateId }) => {
      await until(() => journal.openings.length > 0);
      await handle.signal('approve', { approvalId: gateId('g'), decision: 'approve', by: 'ana' });
      await handle.signal('approve', { approvalId: 'apr_of_nobody', decision: 'approve' });
    },
  },
  {
    name: 'gates-in-branches', steps: [parallel('p', { a: [gate('g1')], b: [gate('g2'), tool('t')] })], expected: 'completed',
    drive: async ({ handle, seen, gateId }) => {
      await seen('execution.waiting');
      await handle.signal('approve', { approvalId: gateId('g2', 'p:b1'), decision: 'approve', by: 'bo' });
      await handle.signal('approve', { approvalId: gateId('g1', 'p:b0'), decision: 'approve', by: 'ana' });
    },
  },
  { name: 'gate-loses-race', steps: [parallel('p', { a: [gate('g')], b: [tool('t')] }, { wait: 'any' })], world: { replies: { t: { afterMs: 300 } } }, expected: 'completed' },
  {
    name: 'pause-resume', steps: [tool('a'), tool('b')], world: { replies: { a: { afterMs: 500 } } }, expected: 'completed',
    drive: async ({ handle, seen }) => {
      await handle.signal('pause', { id: 'cmd_1', by: 'ana' });
      await seen('execution.paused');
      await new Promise((resolve) => setTimeout(resolve, 700));
      await handle.signal('resume', { id: 'cmd_2', by: 'ana' });
    },
  },
  {
    name: 'cancel-call', steps: [{ id: 't', type: 'try', steps: [tool('a')], finally: [tool('f')] }], world: { replies: { a: { hang: true } } }, expected: 'cancelled',
    drive: async ({ handle, journal }) => {
      await until(() => journal.calls.some((name) => name.startsWith('a@')));
      await handle.cancel();
    },
  },
  { name: 'cancel-waiting', steps: [parallel('p', { a: [gate('g')], b: [{ id: 'w', type: 'wait', duration: '1h' }], c: [{ id: 'e', type: 'wait_for_event', event: 'x' }] })], expected: 'cancelled', drive: async ({ handle, seen }) => (await seen('execution.waiting'), void (await handle.cancel())) },
  {
    name: 'cancel-child', steps: [{ id: 'sub', type: 'subworkflow', workflow: 'child' }], children: { sub: [{ id: 'w', type: 'wait', duration: '1h' }] }, expected: 'cancelled',
    drive: async ({ handle, seen }) => (await seen('execution.waiting'), void (await handle.cancel())),
  },
  { name: 'max-steps', definition: { constraints: { maxSteps: 5 } }, steps: [loop('l', { over: 'range(20)' }, [set('s')])], expected: 'failed' },
  { name: 'pure-2500', steps: [loop('l', { over: 'range(2500)', collect: 'null' }, [set('s', { i: '{{ loop.index }}' })])], expected: 'completed' },
  {
    name: 'large-value', steps: [tool('a'), { id: 'c', type: 'conditional', condition: 'outputs.a.body.n > 1', then: [tool('b', { arguments: { url: '{{ outputs.a.body.url }}' } })] }],
    world: { replies: { a: { value: largeOutput('a') } }, evaluations: { 'c.condition': { v: true } } }, expected: 'completed',
  },
  { name: 'segment', light: true, steps: [tool('a'), set('s', { n: '{{ now() }}' }), { id: 'c', type: 'conditional', condition: 'outputs.a.n > 1', then: [tool('b'), { id: 'w', type: 'wait', duration: '50ms' }, tool('d')], else: [tool('no')] }, tool('e')], world: { replies: { a: { output: { n: 2 } } } }, expected: 'completed' },
  { name: 'segment-loops', light: true, steps: [loop('l', { over: 'range(120)', collect: 'outputs.a' }, [set('s', { i: '{{ loop.index }}' }), tool('a')]), loop('c', { over: 'range(30)', concurrency: 7 }, [tool('b')])], world: { replies: { a: { output: 1 }, b: (_input, nth) => ({ afterMs: nth % 3 === 0 ? 20 : 1 }) } }, expected: 'completed' },
  { name: 'segment-race', light: true, steps: [parallel('p', { a: [{ id: 't', type: 'try', steps: [tool('slow')], finally: [tool('f')] }], b: [tool('quick')] }, { wait: 'any' }), tool('after')], world: { replies: { slow: { afterMs: 400 }, quick: { afterMs: 20 } } }, expected: 'completed' },
  { name: 'segment-retry', light: true, steps: [parallel('p', { a: [tool('a', { retry: { maxAttempts: 3, initialInterval: '100ms' } })], b: [tool('b'), tool('c')] })], world: { replies: { a: [{ error: fault('http_503', true) }, {}], b: { afterMs: 30 } } }, expected: 'completed' },
  { name: 'segment-reference', light: true, steps: [tool('a'), { id: 'c', type: 'conditional', condition: 'outputs.a.body.n > 1', then: [tool('b')] }], world: { replies: { a: { value: largeOutput('a') } }, evaluations: { 'c.condition': { v: true } } }, expected: 'completed' },
  {
    name: 'segment-paused', light: true, steps: [tool('a'), tool('b'), tool('c')], world: { replies: { b: { afterMs: 500 } } }, expected: 'completed',
    drive: async ({ handle, journal, seen }) => {
      await until(() => journal.calls.some((name) => name.startsWith('b@')));
      await handle.signal('pause', { id: 'cmd_1', by: 'ana' });
      await seen('execution.paused');
      await new Promise((resolve) => setTimeout(resolve, 700));
      await handle.signal('resume', { id: 'cmd_2', by: 'ana' });
    },
  },
  {
    name: 'segment-cancelled', light: true, steps: [tool('a'), { id: 't', type: 'try', steps: [tool('b')], finally: [tool('f')] }], world: { replies: { b: { hang: true } } }, expected: 'cancelled',
    drive: async ({ handle, journal }) => {
      await until(() => journal.calls.some((name) => name.startsWith('b@')));
      await handle.cancel();
    },
  },
  {
    name: 'segment-timed-out', light: true, steps: [{ id: 't', type: 'try', steps: [{ id: 'c', type: 'conditional', condition: 'true', timeout: '300ms', then: [tool('a'), tool('b')] }], catch: [{ codes: ['step_timeout'], steps: [tool('late')] }] }], world: { replies: { b: { hang: true } } }, expected: 'completed',
  },
  { name: 'hand-over-segments', light: true, expected: 'completed', handsOver: true, steps: [parallel('p', { a: [loop('l', { over: 'range(600)', collect: 'null' }, [tool('a')])], b: [loop('m', { over: 'range(12)' }, [{ id: 'w', type: 'wait', duration: '5ms' }, tool('b')])], c: [gate('g')] }), tool('end')], drive: approve('g', 'approve', 'p:b2') },
  {
    name: 'hand-over-loop', steps: [loop('l', { over: 'range(30)' }, [tool('a')])], expected: 'completed', handsOver: true,
  },
  {
    name: 'hand-over-open', expected: 'completed', handsOver: true,
    steps: [parallel('p', { a: [gate('g1')], b: [gate('g2')], c: [{ id: 'w', type: 'wait', duration: '1500ms' }], d: [loop('l', { over: 'range(20)' }, [tool('a')])], e: [{ id: 'e', type: 'wait_for_event', event: 'go' }] }), tool('end')],
    drive: async ({ handle, seen, gateId }) => {
      await seen('execution.waiting');
      for (let n = 0; n < 10; n += 1) await handle.signal('event', { id: `evt_${n}`, event: 'other', payload: n });
      await handle.signal('event', { id: 'evt_go', event: 'go', payload: 1 });
      await handle.signal('approve', { approvalId: gateId('g1', 'p:b0'), decision: 'approve', by: 'ana' });
      await handle.signal('approve', { approvalId: gateId('g2', 'p:b1'), decision: 'approve', by: 'ana' });
    },
  },
  {
    name: 'hand-over-child', expected: 'completed', handsOver: true, steps: [parallel('p', { a: [{ id: 'sub', type: 'subworkflow', workflow: 'child' }], b: [loop('l', { over: 'range(15)' }, [tool('a')])] })],
    children: { 'sub@p:b0': [{ id: 'e', type: 'wait_for_event', event: 'go' }] },
    drive: async ({ seen, child }) => {
      await seen('step.completed l@');
      await child('sub@p:b0').signal('event', { id: 'evt_1', event: 'go', payload: 'done' });
    },
  },
];

export const executionIdOf = ({ name }: Scenario): string => `exe_${name}`;
export const childIdAt = (scenario: Scenario, at: string): string => {
  const [stepId = '', iterationPath = ''] = at.split('@');
  return childIdOf(executionIdOf(scenario), { stepId, iterationPath, attempt: 1 });
};
