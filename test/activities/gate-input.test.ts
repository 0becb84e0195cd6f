import { noticeOf, prepareGate } from '../../src/activities/gate-input.js';
import type { RunFacts } from '../../src/activities/run-facts.js';
import type { StepCallInput } from '../../src/activities/step-call.js';
import { createRedactor } from '../../src/activities/redaction.js';
import type { ApprovalPlan } from '../../src/definition/plan.js';
import type { Json } from '../../src/definition/value.js';
import { template, variables } from './running-execution.js';

const OPENED = 1_700_000_000_000;
const aStep = (overrides: Partial<ApprovalPlan> = {}): ApprovalPlan => ({
  type: 'approval',
  id: 'g',
  onError: 'fail',
  quorum: 1,
  deadlineMs: 10_000,
  onTimeout: 'fail',
  onDeny: 'cancel',
  remindMs: [],
  ...overrides,
});
const prepared = (step: ApprovalPlan, values: { readonly [name: string]: Json } = {}) => {
  const secrets = new Map([['TOKEN', 's3cret-value']]);
  const facts = {
    secrets,
    redactor: createRedactor(secrets),
    step: () => step,
    getValue: () => Promise.resolve(undefined),
    putValue: () => Promise.reject(new Error('nothing is large here')),
  } as unknown as RunFacts;
  const input = { scope: variables(values), nowMs: OPENED, instance: { stepId: 'g', iterationPath: '', attempt: 1 } };
  return prepareGate(facts, input as unknown as StepCallInput);
};

describe('what an approval step says of its gate', () => {
  it('is whom to tell, each once, with templates filled and secrets out', async () => {
    const step = aStep({ notify: template(['slack:{{variables.channel}}', 'chat', 'chat', 'webhook:https://x.test/{{variables.path}}']) });
    expect((await prepared(step, { channel: 'C1', path: 's3cret-value' })).targets).toEqual([
      'slack:C1',
      'chat',
      expect.stringMatching(/^webhook:https:\/\/x\.test\/(?!s3cret)/),
    ]);
  });

  it.each<[string, Json, readonly string[]]>([
    ['a list in a variable', ['chat', 'orchestrator'], ['chat', 'orchestrator']],
    ['one target', 'chat', ['chat']],
    ['nothing', null, []],
    ['an empty text', '', []],
  ])('takes %s', async (_what, value, expected) => {
    expect((await prepared(aStep({ notify: template('{{variables.to}}') }), { to: value })).targets).toEqual(expected);
  });

  it.each<[string, Json]>([
    ['another kind', 'mail:ana'],
    ['no channel', 'slack:'],
    ['no address', 'webhook:ftp://x'],
    ['an object', { to: 'chat' }],
    ['a list with one of them', ['chat', 7]],
    ['more than 50', Array.from({ length: 51 }, (_, index) => `slack:C${index}`)],
  ])('fails with the field named for %s', async (_what, value) => {
    await expect(prepared(aStep({ notify: template('{{variables.to}}') }), { to: value })).rejects.toMatchObject({
      code: 'expression_error',
      details: { field: 'notify' },
    });
  });

  it('reminds and escalates counted from when the gate began, before its deadline only (H13)', async () => {
    const step = aStep({ remindMs: [1_000, 10_000, 9_999], escalate: { afterMs: 2_000, to: ['cy'] } });
    expect(noticeOf(await prepared(step), OPENED + 10_000)).toEqual({
      targets: [],
      remindAt: [OPENED + 1_000, OPENED + 9_999],
      escalate: { at: OPENED + 2_000, to: ['cy'] },
    });
    expect(noticeOf(await prepared(aStep({ escalate: { afterMs: 10_000, to: ['cy'] } })), OPENED + 10_000)).toEqual({
      targets: [],
      remindAt: [],
    });
  });
});
