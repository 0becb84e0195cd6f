/**
 * A model's piece of text → the sockets that follow: through the worker, PostgreSQL and the gateway. Beside it the way that no gateway can
 * avoid: one NOTIFY of the piece to a connection that listens.
 */
import { once } from 'node:events';
import { Client } from 'pg';
import { WebSocket } from 'ws';
import { figure, type Figure } from './measure.js';
import { clock } from './model-stub.js';
import type { Stage } from './stage.js';

const EVERY_MS = 20;

interface Load {
  readonly name: string;
  readonly runs: number;
  readonly socketsPerRun: number;
  readonly goal: string;
}
const LOADS: readonly Load[] = [
  { name: '1 socket', runs: 1, socketsPerRun: 1, goal: 'p95 ≤ 50 ms' },
  { name: '200 sockets of one run', runs: 1, socketsPerRun: 200, goal: 'p95 ≤ 150 ms' },
  { name: '200 sockets of 20 runs', runs: 20, socketsPerRun: 10, goal: 'p95 ≤ 150 ms' },
];

export async function realtime(stage: Stage, quick: boolean): Promise<Figure[]> {
  const { workflow } = await stage.api.call<{ workflow: { id: string } }>('POST', '/api/workflows/sync', {
    name: 'bench talk',
    data: {
      name: 'bench talk',
      steps: [
        { id: 'go', type: 'approval', prompt: 'Talk?' },
        { id: 'talk', type: 'agent_prompt', prompt: 'Talk.' },
      ],
    },
  });
  stage.model.everyMs = EVERY_MS;
  stage.model.pieces = 50;
  // Warms up.
  await measured(stage, workflow.id, { name: '', runs: 1, socketsPerRun: 1, goal: '' });
  const floor = await notified(stage.databaseUrl, quick ? 100 : 300);
  const figures: Figure[] = [];
  for (const load of LOADS) {
    stage.model.pieces = (quick ? 4 : 60) * (1_000 / EVERY_MS);
    const before = await memory(stage);
    const samples = await measured(stage, workflow.id, load);
    process.stderr.write(`bench: ${load.name}: gateway ${before} MB before, ${await memory(stage)} MB after\n`);
    figures.push(figure(`model piece → socket, ${load.name}`, 'ms', samples, floor, load.goal));
  }
  return figures;
}

/** Times from the model's sending of each piece to its arrival at each socket. Every socket has to get every character once. */
async function measured(stage: Stage, workflowId: string, load: Load): Promise<number[]> {
  const samples: number[] = [];
  const runs = await Promise.all(Array.from({ length: load.runs }, () => parked(stage, workflowId)));
  const followers = await Promise.all(
    runs.flatMap((run) => Array.from({ length: load.socketsPerRun }, () => Follower.open(stage, run.sessionId, samples))),
  );
  await Promise.all(runs.map((run) => stage.api.call('POST', `/api/approvals/${run.approvalId}/approve`, {})));
  await Promise.all(followers.map((follower) => follower.finished));
  for (const follower of followers) follower.close();
  const { length: fault } = followers.filter((follower) => follower.fault !== undefined);
  if (fault > 0) throw new Error(`${fault} of ${followers.length} sockets: ${followers.find(({ fault }) => fault !== undefined)?.fault}`);
  return samples;
}

interface Parked {
  readonly sessionId: string;
  readonly approvalId: string;
}

async function parked(stage: Stage, workflowId: string): Promise<Parked> {
  const { execution } = await stage.api.call<{ execution: { id: string; sessionId: string } }>(
    'POST',
    `/api/workflows/${workflowId}/run`,
    {},
  );
  for (;;) {
    const { items } = await stage.api.call<{ items: { id: string }[] }>('GET', `/api/approvals?status=pending&executionId=${execution.id}`);
    if (items[0] !== undefined) return { sessionId: execution.sessionId, approvalId: items[0].id };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

interface Frame {
  readonly type: string;
  readonly offset: number;
  readonly text: string;
  readonly event?: { readonly kind: string; readonly data: { readonly message?: { readonly content: string } } };
}

class Follower {
  /** What is wrong with what it got. */
  fault: string | undefined;
  readonly finished: Promise<void>;
  private began: (() => void) | undefined;
  private length = 0;

  private constructor(
    private readonly socket: WebSocket,
    private readonly samples: number[],
  ) {
    this.finished = new Promise((resolve) => {
      socket.on('message', (data) => {
        const at = clock();
        const frame = JSON.parse((data as Buffer).toString()) as Frame;
        if (frame.type === 'delta') this.take(frame, at);
        else if (frame.type === 'snapshot') this.began?.();
        else if (frame.type === 'lagged' || frame.type === 'error') this.fault = frame.type;
        else if (frame.type === 'event' && frame.event !== undefined && this.event(frame.event, at)) resolve();
      });
    });
  }

  static async open(stage: Stage, sessionId: string, samples: number[]): Promise<Follower> {
    const socket = new WebSocket(`${stage.gateway.url.replace('http', 'ws')}/ws`, {
      headers: { authorization: `Bearer ${stage.gateway.key}` },
    });
    await once(socket, 'open');
    const follower = new Follower(socket, samples);
    const begun = new Promise<void>((resolve) => (follower.began = resolve));
    socket.send(JSON.stringify({ type: 'subscribe', id: 1, channel: `session:${sessionId}` }));
    await begun;
    return follower;
  }

  close(): void {
    this.socket.terminate();
  }

  private take({ offset, text }: Pick<Frame, 'offset' | 'text'>, at: number): void {
    if (offset !== this.length) this.fault = `a piece at ${offset}, it has ${this.length}`;
    this.length = offset + text.length;
    for (const time of text.split(' ')) if (time !== '') this.samples.push(at - Number(time));
  }

  /** @returns whether the turn has ended. What its end has beyond the pieces has arrived with it. */
  private event({ kind, data }: NonNullable<Frame['event']>, at: number): boolean {
    const content = data.message?.content;
    if (kind === 'turn.started' && content !== undefined) this.length = content.length;
    if (kind !== 'turn.finished') return false;
    if (content === undefined || content.length < this.length) this.fault = `a text of ${content?.length}, it has ${this.length}`;
    else this.take({ offset: this.length, text: content.slice(this.length) }, at);
    return true;
  }
}

/** One NOTIFY → the connection that listens. */
async function notified(databaseUrl: string, count: number): Promise<number[]> {
  const [teller, listener] = [new Client({ connectionString: databaseUrl }), new Client({ connectionString: databaseUrl })];
  await Promise.all([teller.connect(), listener.connect()]);
  await listener.query('LISTEN bench_floor');
  const samples: number[] = [];
  for (let sent = 0; sent < count; sent += 1) {
    const heard = once(listener, 'notification');
    const started = performance.now();
    await teller.query("SELECT pg_notify('bench_floor', repeat('x', 200))");
    await heard;
    samples.push(performance.now() - started);
  }
  await Promise.all([teller.end(), listener.end()]);
  return samples;
}

/** Resident memory of the gateway, in MB. */
async function memory(stage: Stage): Promise<number> {
  const response = await fetch(`${stage.gateway.url}/metrics`, { headers: { authorization: `Bearer ${stage.gateway.key}` } });
  const bytes = Number(/^process_resident_memory_bytes ([\d.e+]+)$/m.exec(await response.text())?.[1]);
  return Math.round(bytes / 1024 / 1024);
}
