import { mergedInput, parseTrigger } from '../../../src/operations/triggers/trigger-input.js';

const problems = (input: object) => {
  const result = parseTrigger(input as never);
  return 'problems' in result ? result.problems.map(({ code, path }) => `${code} ${path}`).toSorted() : [];
};
const schedule = (config: object, rest: object = {}) => ({
  name: 'Nightly',
  type: 'schedule',
  workflowId: 'wf_1',
  config: { cron: '0 9 * * *', ...config },
  ...rest,
});
const webhook = (config: object, rest: object = {}) => ({
  name: 'Hook',
  type: 'webhook',
  workflowId: 'wf_1',
  config: { path: 'tickets', ...config },
  ...rest,
});

describe('a trigger as it is written', () => {
  it('T8 gets its defaults', () => {
    expect(parseTrigger(schedule({}))).toEqual({
      trigger: {
        name: 'Nightly',
        type: 'schedule',
        workflowId: 'wf_1',
        enabled: true,
        config: { cron: '0 9 * * *', timezone: 'UTC', overlap: 'skip', catchupWindow: '4h', jitter: '0s', target: 'workflow' },
        secrets: {},
        variableMapping: {},
      },
    });
    expect(parseTrigger(webhook({ secret: 'a-secret-of-mine' }))).toMatchObject({
      trigger: { config: { path: 'tickets', method: 'POST' }, secrets: { secret: 'a-secret-of-mine' } },
    });
    expect(parseTrigger({ name: 'By hand', type: 'manual', workflowId: 'wf_1' })).toMatchObject({ trigger: { config: {} } });
  });

  it.each([
    ['an unknown type', { name: 'x', type: 'email' }, ['invalid_field /type']],
    ['no type', { name: 'x' }, ['missing_field /type']],
    [
      'everything missing',
      { type: 'schedule', config: {} },
      ['missing_field /config/cron', 'missing_field /name', 'missing_field /workflowId'],
    ],
    ['no config', { name: 'x', type: 'webhook', workflowId: 'wf_1' }, ['missing_field /config']],
    ['fields of another type', schedule({ path: 'x' }), ['unknown_field /config/path']],
    ['T10 day of month with day of week', schedule({ cron: '0 9 1 * 1' }), ['schedule_dom_dow /config/cron']],
    [
      'T10 a bad cron and a bad zone at once',
      schedule({ cron: '61 * * * *', timezone: 'Mars/Base' }),
      ['invalid_field /config/cron', 'invalid_field /config/timezone'],
    ],
    [
      'a window below ten seconds, a bad jitter, a bad overlap',
      schedule({ catchupWindow: '5s', jitter: 'soon', overlap: 'queue' }),
      ['duration_invalid /config/jitter', 'invalid_field /config/catchupWindow', 'invalid_field /config/overlap'],
    ],
    [
      'an orchestrator without prompt, with workflow and variables',
      schedule({ target: 'orchestrator', variables: {} }),
      ['invalid_field /config/variables', 'invalid_field /workflowId', 'missing_field /config/prompt'],
    ],
    ['a prompt for a workflow', schedule({ prompt: 'hi' }), ['invalid_field /config/prompt']],
    ['a mapping for a schedule', schedule({}, { variableMapping: { a: '$.a' } }), ['invalid_field /variableMapping']],
    [
      'a path that is none',
      webhook({ path: 'a/b' }, { variableMapping: { a: 'b' } }),
      ['invalid_field /config/path', 'invalid_field /variableMapping/a'],
    ],
    [
      'an event beside a mapping, and without a path',
      webhook({ event: { name: 'paid', executionId: 'x' } }, { variableMapping: { a: '$.a' } }),
      ['invalid_field /config/event/executionId', 'invalid_field /variableMapping'],
    ],
    ['GitHub’s own path', webhook({ path: 'GitHub' }), ['invalid_field /config/path']],
    [
      'a previous secret alone, an empty one',
      webhook({ secretPrevious: '' }),
      ['invalid_field /config/secretPrevious', 'missing_field /config/secret'],
    ],
    [
      'no repository, a bad event',
      { name: 'x', type: 'github', workflowId: 'wf_1', config: { repos: [], events: ['Push!'] } },
      ['invalid_field /config/events/0', 'invalid_field /config/repos'],
    ],
  ])('is refused for %s', (_what, input, expected) => {
    expect(problems(input)).toEqual(expected);
  });

  it('writes the zone as Temporal knows it', () => {
    expect(parseTrigger(schedule({ timezone: 'europe/berlin' }))).toMatchObject({ trigger: { config: { timezone: 'Europe/Berlin' } } });
  });

  it('merges a change into what stands: fields of the config one by one, null takes away', () => {
    const current = {
      name: 'Nightly',
      type: 'schedule',
      workflowId: 'wf_1',
      enabled: false,
      config: { cron: '0 9 * * *', timezone: 'UTC', variables: { a: 1 } },
      variableMapping: {},
    } as const;
    expect(mergedInput(current, { config: { cron: '0 8 * * *', variables: null } })).toEqual({
      ...current,
      config: { cron: '0 8 * * *', timezone: 'UTC' },
    });
    expect(mergedInput(current, { enabled: true })).toEqual({ ...current, enabled: true });
  });
});
