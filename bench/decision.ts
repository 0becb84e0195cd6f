/** Decision → next step: a person's approval by HTTP, and by a click in Slack, to the next step's call; beside them the same wait and call by a raw signal, hand-written. */
import { createHmac, randomBytes } from 'node:crypto';
import { WORKFLOW_TASK_TIMEOUT } from '../src/workflows/messages.js';
import { figure, type Figure } from './measure.js';
import { SLACK_SECRET, type Stage } from './stage.js';

const REST_MS = 200;
const SLACK_USER = 'U0BENCH';
const runId = (): string => randomBytes(6).toString('hex');

export async function decisions(stage: Stage, quick: boolean): Promise<Figure[]> {
  const { workflow } = await stage.api.call<{ workflow: { id: string } }>('POST', '/api/workflows/sync', {
    name: 'bench decision',
    data: {
      name: 'bench decision',
      variables: { base: { type: 'string', required: true } },
      steps: [
        { id: 'g', type: 'approval', prompt: 'Go on?' },
        { id: 'next', type: 'tool', tool: 'http:request', arguments: { url: '{{variables.base}}/0' } },
      ],
    },
  });
  const { user } = await stage.api.call<{ user: { id: string } }>('GET', '/api/me');
  await stage.api.call('PATCH', `/api/users/${user.id}`, { slackUserId: SLACK_USER });
  const ours: number[] = [];
  const clicks: number[] = [];
  const floor: number[] = [];
  for (let round = -1; round < (quick ? 10 : 60); round += 1) {
    const mine = await decided(stage, workflow.id, byHttp);
    const clicked = await decided(stage, workflow.id, byClick);
    const theirs = await signalled(stage);
    // The first round warms up.
    if (round < 0) continue;
    ours.push(mine);
    clicks.push(clicked);
    floor.push(theirs);
  }
  return [
    figure('decision → next step started', 'ms', ours, floor, 'p95 ≤ 100 ms'),
    figure('click in Slack → next step started', 'ms', clicks, floor, 'p95 ≤ 100 ms'),
  ];
}

type Decide = (stage: Stage, approvalId: string) => Promise<unknown>;

const byHttp: Decide = (stage, approvalId) => stage.api.call('POST', `/api/approvals/${approvalId}/approve`, {});

/** A click as Slack sends it, on a message that it has. */
async function byClick(stage: Stage, approvalId: string): Promise<void> {
  const place = { channel: { id: 'C0BENCH' }, message: { ts: approvalId } };
  const actions = [{ type: 'button', action_id: 'signalbox_approve', value: approvalId }];
  const body = `payload=${encodeURIComponent(JSON.stringify({ type: 'block_actions', user: { id: SLACK_USER }, ...place, actions }))}`;
  const at = Math.floor(Date.now() / 1_000);
  const response = await fetch(`${stage.gateway.url}/slack/interactions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': String(at),
      'x-slack-signature': `v0=${createHmac('sha256', SLACK_SECRET).update(`v0:${at}:${body}`).digest('hex')}`,
    },
    body,
  });
  if (response.status !== 200) throw new Error(`the click was answered with ${response.status}: ${await response.text()}`);
}

async function decided(stage: Stage, workflowId: string, decide: Decide): Promise<number> {
  const run = runId();
  const { execution } = await stage.api.call<{ execution: { id: string } }>('POST', `/api/workflows/${workflowId}/run`, {
    variables: { base: `http://${stage.stub.host}/${run}` },
  });
  const approvalId = await parked(stage, execution.id);
  const started = performance.now();
  await decide(stage, approvalId);
  return await arrival(stage, run, started);
}

/** The gate's id, once its run has nothing left to do but wait. */
async function parked(stage: Stage, executionId: string): Promise<string> {
  for (;;) {
    const { execution } = await stage.api.call<{ execution: { status: string } }>('GET', `/api/executions/${executionId}`);
    const { items } = await stage.api.call<{ items: { id: string }[] }>('GET', `/api/approvals?status=pending&executionId=${executionId}`);
    if (execution.status === 'waiting_approval' && items[0] !== undefined) {
      // The task that wrote this is still being completed; nobody clicks so fast.
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
      return items[0].id;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function signalled(stage: Stage): Promise<number> {
  const run = runId();
  const handle = await stage.temporal.workflow.start('gated', {
    taskQueue: 'floor',
    workflowId: `floor-${run}`,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    args: [{ url: stage.stub.urls(run, 1)[0] }],
  });
  // Parked, as ours is.
  await handle.query('isWaiting');
  const started = performance.now();
  await handle.signal('approve');
  const took = await arrival(stage, run, started);
  await handle.result();
  return took;
}

async function arrival(stage: Stage, run: string, started: number): Promise<number> {
  const [call] = await stage.stub.calls(run, 1);
  return (call?.at ?? started) - started;
}
