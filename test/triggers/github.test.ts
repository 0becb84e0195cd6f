import { randomUUID } from 'node:crypto';
import { fresh, sign, TriggersStage, type TriggerShape } from './triggers-stage.js';

let stage: TriggersStage;
beforeAll(async () => {
  stage = await TriggersStage.start();
});
afterAll(() => stage.close());

interface Outcome {
  readonly triggerId: string;
  readonly outcome: string;
  readonly executionId: string | null;
}
interface Answered {
  readonly code?: string;
  readonly outcomes: readonly Outcome[];
}

const pull = (repo: string, overrides: object = {}) => ({
  action: 'opened',
  repository: { full_name: repo },
  number: 7,
  pull_request: { base: { ref: 'main' }, labels: [{ name: 'bug' }] },
  ...overrides,
});

function deliver(
  payload: object,
  options: { readonly event?: string; readonly id?: string; readonly secret?: string; readonly form?: boolean } = {},
) {
  const { event = 'pull_request', id = randomUUID(), secret = 'github-secret', form = false } = options;
  const body = form ? new URLSearchParams({ payload: JSON.stringify(payload) }).toString() : JSON.stringify(payload);
  const headers = {
    'x-github-event': event,
    'x-github-delivery': id,
    'x-hub-signature-256': `sha256=${sign(secret, body)}`,
    'content-type': form ? 'application/x-www-form-urlencoded' : 'application/json',
  };
  return stage.call<Answered>('github', { body, headers });
}

const onGithub = async (config: object, rest: object = {}): Promise<TriggerShape> =>
  stage.trigger({
    name: fresh('Review'),
    type: 'github',
    workflowId: await stage.workflow({ variables: { pr: { type: 'number' } } }),
    variableMapping: { pr: '$.number' },
    config,
    ...rest,
  });

describe('GitHub’s webhook', () => {
  it('T7 starts what matches by event, action, branch and labels, and nothing else', async () => {
    const repo = 'acme/web';
    const [bare, qualified, branch, labels] = [
      await onGithub({ repos: ['ACME/web'], events: ['pull_request'] }),
      await onGithub({ repos: [repo], events: ['pull_request.closed'] }),
      await onGithub({ repos: [repo], events: ['pull_request'], filter: { actions: ['opened'], branch: ['dev', 'main'] } }),
      await onGithub({ repos: [repo], events: ['pull_request'], filter: { labels: ['later'] } }),
    ];
    const elsewhere = await onGithub({ repos: ['acme/api'], events: ['pull_request'] });
    const { status, body } = await deliver(pull(repo));
    const outcomes = new Map(body.outcomes.map((each) => [each.triggerId, each.outcome]));
    expect(status).toBe(202);
    expect([bare, qualified, branch, labels, elsewhere].map(({ id }) => outcomes.get(id))).toEqual([
      'matched',
      'no_match',
      'matched',
      'no_match',
      undefined,
    ]);
    const started = await stage.execution(body.outcomes.find(({ triggerId }) => triggerId === bare.id)?.executionId ?? '');
    expect(started.variables).toMatchObject({
      pr: 7,
      _trigger: { type: 'github', eventType: 'pull_request.opened', action: 'opened', repo },
      _payload: { number: 7 },
    });
    expect((await stage.deliveries(labels.id))[0]).toMatchObject({
      outcome: 'no_match',
      eventType: 'pull_request.opened',
      reason: 'none of the labels later',
    });
    expect(await stage.deliveries(elsewhere.id)).toEqual([]);
  });

  it('T7 tells a delivery that comes again for each trigger, and answers 200', async () => {
    const trigger = await onGithub({ repos: ['acme/twice'], events: ['pull_request'] });
    const id = randomUUID();
    const [first, again, form] = [
      await deliver(pull('acme/twice'), { id }),
      await deliver(pull('acme/twice'), { id }),
      await deliver(pull('acme/twice'), { form: true }),
    ];
    expect([first, again, form].map(({ status, body }) => [status, body.outcomes[0]?.outcome])).toEqual([
      [202, 'matched'],
      [200, 'duplicate'],
      [202, 'matched'],
    ]);
    expect(again.body.outcomes[0]?.executionId).toBe(first.body.outcomes[0]?.executionId);
    expect(await stage.executionsOf(trigger.workflowId ?? '')).toHaveLength(2);
  });

  it('T7 refuses a bad signature before anything is looked at, and other methods', async () => {
    const trigger = await onGithub({ repos: ['acme/signed'], events: ['pull_request'] });
    expect((await deliver(pull('acme/signed'), { secret: 'wrong' })).status).toBe(401);
    expect((await stage.call('github', { method: 'GET' })).status).toBe(405);
    expect(await stage.deliveries(trigger.id)).toEqual([]);
  });

  it('does not stop the others when one fails', async () => {
    const repo = 'acme/mixed';
    const unfit = await onGithub({ repos: [repo], events: ['pull_request'] }, { variableMapping: { pr: '$.action' } });
    const fit = await onGithub({ repos: [repo], events: ['pull_request'] });
    const off = await onGithub({ repos: [repo], events: ['pull_request'] }, { enabled: false });
    const { status, body } = await deliver(pull(repo));
    expect([status, body.outcomes.map(({ outcome }) => outcome)]).toEqual([202, ['error', 'matched']]);
    expect(body.outcomes.map(({ triggerId }) => triggerId)).toEqual([unfit.id, fit.id]);
    expect(await stage.deliveries(off.id)).toEqual([]);
  });

  it('lets only an admin create or widen a trigger; an editor may narrow it', async () => {
    const { key } = { key: await stage.api.keyOf(stage.userId, { role: 'editor' }) };
    const trigger = await onGithub({ repos: ['acme/a', 'acme/b'], events: ['push'] });
    const create = await stage.send(
      'POST',
      '/api/triggers',
      { name: fresh('x'), type: 'github', workflowId: trigger.workflowId, config: trigger.config },
      key,
    );
    const widen = await stage.send('PATCH', `/api/triggers/${trigger.id}`, { config: { events: ['push', 'issues'] } }, key);
    const narrow = await stage.send('PATCH', `/api/triggers/${trigger.id}`, { config: { repos: ['acme/a'] } }, key);
    expect([create.status, widen.status, narrow.status]).toEqual([403, 403, 200]);
  });
});
