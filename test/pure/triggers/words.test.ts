import { noticeOf, shortIdOf } from '../../../src/operations/failure-notice.js';
import { nominalOf } from '../../../src/operations/triggers/start-tick.js';
import { promptText } from '../../../src/operations/triggers/post-prompt.js';
import { syntheticPayload } from '../../../src/operations/triggers/synthetic-payload.js';

const TICK = 'exe_01m86sgc2ve8nssvy6rhy0h22c-2026-11-23T02:00:00Z';

describe('a failure notice', () => {
  const execution = {
    id: 'exe_01m86sgc2ve8nssvy6rhy0h22c',
    workflowName: 'Nightly',
    trigger: { type: 'schedule' as const, name: 'At two' },
    error: null,
  };
  const error = { code: 'http_500', message: 'the receiver broke', retryable: true };

  it('names workflow, short id, step, error, trigger, and where to look', () => {
    expect(noticeOf(execution, { stepId: 'call', error })).toBe(
      '**Nightly** failed (rhy0h22c).\nStep `call`: http_500: the receiver broke\nTrigger: schedule At two\n[Open the execution](/executions/exe_01m86sgc2ve8nssvy6rhy0h22c)',
    );
  });
  it('has the run’s own error where no step failed, and says so', () => {
    expect(noticeOf({ ...execution, error: { ...error, code: 'max_duration_exceeded' } }, undefined)).toContain(
      'No failing step is recorded: max_duration_exceeded',
    );
  });
  it('tells ticks of one trigger apart, and leads to them', () => {
    expect(shortIdOf(TICK)).toBe('y0h22c-2026-11-23T02:00:00Z');
    expect(noticeOf({ ...execution, id: TICK }, undefined)).toContain(
      '(/executions/exe_01m86sgc2ve8nssvy6rhy0h22c-2026-11-23T02%3A00%3A00Z)',
    );
  });
});

describe('the nominal time of a run', () => {
  it('stands at the end of its id', () => {
    expect([nominalOf(TICK), nominalOf('exe_01m86sgc2ve8nssvy6rhy0h22c')]).toEqual(['2026-11-23T02:00:00Z', undefined]);
  });
});

describe('a schedule’s prompt', () => {
  it('is headed by the date where the schedule is at home', () => {
    expect(promptText({ prompt: 'Brief me', timezone: 'Asia/Tokyo' }, new Date('2026-12-31T23:30:00Z'))).toMatch(
      /^Friday,? 1 January 2027.* 08:30 \(Asia\/Tokyo\)\. This comes from a schedule; there is no earlier context\.\n\nBrief me$/,
    );
  });
});

describe('a made-up payload', () => {
  const variables = {
    n: { type: 'number', required: true },
    s: { type: 'string', enum: ['a', 'b'] },
    d: { type: 'string', default: 'x' },
  } as never;

  it('has at every path of the mapping what the variable takes', () => {
    const trigger = { type: 'webhook' as const, config: {}, variableMapping: { n: '$.list[1].n', s: '$.s', d: '$.deep.d', other: '$.o' } };
    expect(syntheticPayload(trigger, variables)).toEqual({ test: true, list: [null, { n: 1 }], s: 'a', deep: { d: 'x' }, o: 'test' });
  });
  it('is an event of GitHub’s for such a trigger', () => {
    const trigger = {
      type: 'github' as const,
      config: { repos: ['acme/web'], events: ['pull_request.opened'] },
      variableMapping: { n: '$.number' },
    };
    expect(syntheticPayload(trigger, variables)).toEqual({
      repository: { full_name: 'acme/web' },
      sender: { login: 'test' },
      action: 'opened',
      number: 1,
    });
  });
  it('changes no prototype', () => {
    syntheticPayload({ type: 'webhook', config: {}, variableMapping: { n: '$.__proto__.polluted' } }, variables);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});
