/** Webhook → 202: signed calls at a steady rate, whatever the answers take; beside it the bare round trip to the same gateway. */
import { createHmac, randomUUID } from 'node:crypto';
import { figure, type Figure } from './measure.js';
import type { Stage } from './stage.js';

const PER_SECOND = 50;
const SECRET = 'bench-webhook-secret';

/** Sends one call every 20 ms, whatever the earlier ones wait for: a queue shows in the times of the later ones. */
async function steadily(seconds: number, call: () => Promise<void>): Promise<number[]> {
  const started = performance.now();
  const calls = Array.from({ length: seconds * PER_SECOND }, async (_, index) => {
    const dueMs = started + (index * 1_000) / PER_SECOND;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
    const sent = performance.now();
    await call();
    return performance.now() - sent;
  });
  return Promise.all(calls);
}

export async function webhooks(stage: Stage, quick: boolean): Promise<Figure[]> {
  const url = await makeHook(stage);
  const signedCall = async (): Promise<void> => {
    const body = JSON.stringify({ order: randomUUID() });
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-webhook-signature': createHmac('sha256', SECRET).update(body).digest('hex') },
      body,
    });
    if (response.status !== 202) throw new Error(`the webhook answered ${response.status}: ${await response.text()}`);
    await response.arrayBuffer();
  };
  const bareCall = async (): Promise<void> => {
    await (await fetch(new URL('/healthz', url))).arrayBuffer();
  };
  await steadily(2, signedCall);
  const seconds = quick ? 4 : 20;
  const ours = await steadily(seconds, signedCall);
  const bare = await steadily(seconds, bareCall);
  return [figure(`webhook → 202 at ${PER_SECOND}/s (beside GET /healthz)`, 'ms', ours, bare, 'p95 ≤ 50 ms')];
}

/** A hook that starts the shortest of workflows. @returns its address */
async function makeHook(stage: Stage): Promise<string> {
  const { workflow } = await stage.api.call<{ workflow: { id: string } }>('POST', '/api/workflows/sync', {
    name: 'bench webhook',
    data: { name: 'bench webhook', steps: [{ id: 'a', type: 'set', values: { x: 1 } }] },
  });
  const { trigger } = await stage.api.call<{ trigger: { webhookUrl: string } }>('POST', '/api/triggers', {
    name: 'bench webhook',
    type: 'webhook',
    workflowId: workflow.id,
    config: { path: 'bench', secret: SECRET },
  });
  return trigger.webhookUrl;
}
