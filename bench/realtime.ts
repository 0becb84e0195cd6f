/**
 * A model's piece of text → the sockets that follow: through the worker, PostgreSQL and the gateway. Beside it the way that no gateway can
 * avoid: one NOTIFY of the piece to a connection that listens.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { WebSocket } from 'ws';
import { loopDefinition } from './definitions.js';
import { figure, type Figure } from './measure.js';
import { clock } from './model-stub.js';
import { ended, save, start } from './runs.js';
import type { Stage } from './stage.js';

const EVERY_MS = 20;
const SECONDS = 60;
/** Events of a log that fills whatever lies between the gateway and a reader that takes nothing; fewer than a cursor may be behind. */
const FILLING_EVENTS = 4_500;

interface Load {
  readonly name: string;
  readonly runs: number;
  readonly socketsPerRun: number;
  readonly goal: string;
  /** One more reader takes nothing while it goes on. */
  readonly hasSleeper?: true;
}
const LOADS: readonly Load[] = [
  { name: '1 socket', runs: 1, socketsPerRun: 1, goal: 'p95 ≤ 50 ms' },
  { name: '200 sockets of one run', runs: 1, socketsPerRun: 200, goal: 'p95 ≤ 150 ms' },
  { name: '200 sockets of 20 runs', runs: 20, socketsPerRun: 10, goal: 'p95 ≤ 150 ms' },
  { name: '200 sockets, one more stops reading', runs: 1, socketsPerRun: 200, goal: 'p95 ≤ 150 ms', hasSleeper: true },
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
  const filler = await longLog(stage);
  const figures: Figure[] = [];
  for (const load of LOADS) {
    stage.model.pieces = (quick ? 4 : SECONDS) * (1_000 / EVERY_MS);
    const memory = new GatewayMemory(stage);
    const sleeper = load.hasSleeper === true ? new Sleeper(stage, filler) : undefined;
    const samples = await measured(stage, workflow.id, load, sleeper);
    figures.push(figure(`model piece → socket, ${load.name}`, 'ms', samples, floor, load.goal));
    const { seen, growth } = memory.stop();
    process.stderr.write(`bench: ${load.name}: ${samples.length} arrivals, gateway ${seen.map(Math.round).join(' ')} MB\n`);
    if (!quick && growth !== undefined)
      figures.push(figure(`gateway's memory grows in ${SECONDS} s, ${load.name}`, 'MB', [growth], undefined, '≤ 20 MB'));
  }
  return figures;
}

/** Its execution's id. */
async function longLog(stage: Stage): Promise<string> {
  const workflow = await save(stage, loopDefinition('a log to fill with', { id: 's', type: 'set', values: { n: '{{loop.index}}' } }));
  const id = await start(stage, workflow, { count: FILLING_EVENTS / 2 });
  await ended(stage, id);
  return id;
}

/** Times from the model's sending of each piece to its arrival at each socket. Every socket has to get every character once. */
async function measured(stage: Stage, workflowId: string, load: Load, sleeper?: Sleeper): Promise<number[]> {
  const samples: number[] = [];
  const runs = await Promise.all(Array.from({ length: load.runs }, () => parked(stage, workflowId)));
  const followers = await Promise.all(
    runs.flatMap((run) => Array.from({ length: load.socketsPerRun }, () => Follower.open(stage, run.sessionId, samples))),
  );
  await sleeper?.fallAsleep(runs[0]?.sessionId ?? '');
  await Promise.all(runs.map((run) => stage.api.call('POST', `/api/approvals/${run.approvalId}/approve`, {})));
  await Promise.all(followers.map((follower) => follower.finished));
  await sleeper?.wakeUp(followers[0]?.text ?? '');
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
  readonly channel?: string;
  readonly data?: { readonly messages?: readonly { readonly role: string; readonly content: string }[] };
}

/** A reader that takes nothing from before the text begins until all others have it. Then it has to be told so, and to get the whole text. */
class Sleeper {
  private readonly frames: Frame[] = [];
  private socket: WebSocket | undefined;
  private channel = '';

  constructor(
    private readonly stage: Stage,
    private readonly filler: string,
  ) {}

  async fallAsleep(sessionId: string): Promise<void> {
    this.socket = await connect(this.stage);
    this.socket.on('message', (data) => this.frames.push(JSON.parse((data as Buffer).toString()) as Frame));
    this.channel = `session:${sessionId}`;
    this.say({ type: 'subscribe', id: 'text', channel: this.channel });
    await this.until(() => this.frames.some((frame) => frame.type === 'snapshot'));
    this.socket.pause();
    // Whatever the kernel takes for it, one log after the other fills it.
    for (let round = 0; round < 40; round += 1) {
      this.say({ type: 'subscribe', id: `fill${round}`, channel: `execution:${this.filler}`, after: 0 });
      await sleep(50);
    }
  }

  async wakeUp(text: string): Promise<void> {
    this.socket?.resume();
    await this.until(() => this.frames.some(({ type, channel }) => type === 'lagged' && channel === this.channel));
    const textOf = (frame: Frame | undefined): string | undefined =>
      frame?.data?.messages?.find(({ role }) => role === 'assistant')?.content;
    const newest = (): Frame | undefined => this.frames.findLast(({ type, channel }) => type === 'snapshot' && channel === this.channel);
    await this.until(() => textOf(newest()) === text);
    this.socket?.terminate();
  }

  private say(frame: object): void {
    this.socket?.send(JSON.stringify(frame));
  }

  private async until(holds: () => boolean): Promise<void> {
    for (const deadline = performance.now() + 30_000; !holds(); await sleep(20))
      if (performance.now() > deadline) throw new Error(`a reader that slept got ${this.frames.length} frames, and not what it should`);
  }
}

class Follower {
  /** What is wrong with what it got. */
  fault: string | undefined;
  readonly finished: Promise<void>;
  text = '';
  private began: (() => void) | undefined;

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
    const socket = await connect(stage);
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
    if (offset !== this.text.length) this.fault = `a piece at ${offset}, it has ${this.text.length}`;
    this.text += text;
    for (const time of text.split(' ')) if (time !== '') this.samples.push(at - Number(time));
  }

  /** @returns whether the turn has ended. What its end has beyond the pieces has arrived with it. */
  private event({ kind, data }: NonNullable<Frame['event']>, at: number): boolean {
    const content = data.message?.content;
    if (kind === 'turn.started' && content !== undefined) this.text = content;
    if (kind !== 'turn.finished') return false;
    if (content?.startsWith(this.text) !== true) this.fault = `a text of ${content?.length}, it has another of ${this.text.length}`;
    else this.take({ offset: this.text.length, text: content.slice(this.text.length) }, at);
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

async function connect(stage: Stage): Promise<WebSocket> {
  const headers = { authorization: `Bearer ${stage.gateway.key}` };
  const socket = new WebSocket(`${stage.gateway.url.replace('http', 'ws')}/ws`, { headers });
  await once(socket, 'open');
  return socket;
}

/** Resident memory of the gateway, in MB, looked at once a second. */
class GatewayMemory {
  private readonly seen: number[] = [];
  private readonly timer = setInterval(() => void this.look(), 1_000);

  constructor(private readonly stage: Stage) {}

  /** @returns what it saw, and how much the last quarter has on the second: what the first warms up does not count */
  stop(): { readonly seen: readonly number[]; readonly growth: number | undefined } {
    clearInterval(this.timer);
    const quarter = Math.floor(this.seen.length / 4);
    if (quarter === 0) return { seen: this.seen, growth: undefined };
    const mean = (samples: readonly number[]): number => samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
    return { seen: this.seen, growth: mean(this.seen.slice(-quarter)) - mean(this.seen.slice(quarter, 2 * quarter)) };
  }

  private async look(): Promise<void> {
    const { url, key } = this.stage.gateway;
    const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${key}` } }).catch(() => undefined);
    const bytes = /^process_resident_memory_bytes ([\d.e+]+)$/m.exec((await response?.text()) ?? '')?.[1];
    if (bytes !== undefined) this.seen.push(Number(bytes) / 1024 / 1024);
  }
}
