/**
 * An HTTP server for tests that writes down every call and answers by script: what the outside world saw of a run.
 * Routes are exact paths; a path without a route answers 200 `{ ok: true }`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StubCall {
  readonly method: string;
  readonly path: string;
  readonly query: { readonly [name: string]: string };
  readonly headers: { readonly [name: string]: string };
  readonly body: string;
  /** The body when it is JSON, else undefined. */
  readonly json: unknown;
  /** When it arrived, in ms. */
  readonly at: number;
  /** The caller closed the connection before it had the whole answer. */
  aborted: boolean;
}

export interface StubReply {
  readonly status?: number;
  readonly headers?: { readonly [name: string]: string };
  /** Text and bytes as they are, anything else as JSON. */
  readonly body?: unknown;
  readonly delayMs?: number;
  /** `hang`: never answers. `drop`: cuts the connection. `stall`: sends the head and half of the body, then nothing. */
  readonly fault?: 'hang' | 'drop' | 'stall';
}
/** One reply for ever, one a call (the last one stays), or computed from the call and its number (from 0). */
export type StubScript = StubReply | readonly StubReply[] | ((call: StubCall, nth: number) => StubReply | Promise<StubReply>);

export interface StubServer {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  readonly port: number;
  readonly host: string;
  readonly journal: readonly StubCall[];
  on(path: string, script: StubScript): void;
  calls(path?: string): readonly StubCall[];
  /** Most calls that were open at one moment: on the path, or at all. */
  maxOpen(path?: string): number;
  /** Resolves when the path has been called that often. */
  called(path: string, times?: number): Promise<readonly StubCall[]>;
  /** Resolves when that many calls of the path were cut off by their caller. */
  aborted(path: string, times?: number): Promise<readonly StubCall[]>;
  /** Forgets calls and high-water marks, keeps the routes. */
  clear(): void;
  close(): Promise<void>;
}

class Counts {
  private readonly open = new Map<string, number>();
  readonly max = new Map<string, number>();
  enter(...keys: string[]): void {
    for (const key of keys) {
      const now = (this.open.get(key) ?? 0) + 1;
      this.open.set(key, now);
      this.max.set(key, Math.max(now, this.max.get(key) ?? 0));
    }
  }
  leave(...keys: string[]): void {
    for (const key of keys) this.open.set(key, (this.open.get(key) ?? 1) - 1);
  }
}

const ALL = '*';

export async function startStubServer(options: { readonly host?: string; readonly port?: number } = {}): Promise<StubServer> {
  const host = options.host ?? '127.0.0.1';
  const routes = new Map<string, StubScript>();
  const journal: StubCall[] = [];
  const counts = new Counts();
  const waiters = new Set<() => void>();
  const changed = () => {
    for (const waiter of waiters) waiter();
  };

  const server = createServer((request, response) => void handle(request, response));
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    const call = toCall(request, body);
    const nth = journal.filter((earlier) => earlier.path === call.path).length;
    journal.push(call);
    counts.enter(call.path, ALL);
    response.once('close', () => {
      counts.leave(call.path, ALL);
      call.aborted = !response.writableFinished && !response.destroyedByStub;
      changed();
    });
    changed();
    const script = routes.get(call.path) ?? { body: { ok: true } };
    send(response, await replyOf(script, call, nth));
  }

  await new Promise<void>((resolve) => server.listen(options.port ?? 0, host, resolve));
  const port = (server.address() as AddressInfo).port;
  const matching = (path: string, keep: (call: StubCall) => boolean = () => true) =>
    journal.filter((call) => call.path === path && keep(call));
  const until = (list: () => readonly StubCall[], times: number) =>
    new Promise<readonly StubCall[]>((resolve) => {
      const look = () => {
        const found = list();
        if (found.length < times) return;
        waiters.delete(look);
        resolve(found);
      };
      waiters.add(look);
      look();
    });

  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    host,
    journal,
    on: (path, script) => void routes.set(path, script),
    calls: (path) => (path === undefined ? journal : matching(path)),
    maxOpen: (path = ALL) => counts.max.get(path) ?? 0,
    called: (path, times = 1) => until(() => matching(path), times),
    aborted: (path, times = 1) => until(() => matching(path, (call) => call.aborted), times),
    clear: () => {
      journal.length = 0;
      counts.max.clear();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

declare module 'node:http' {
  interface ServerResponse {
    /** Set by the stub when it cuts a connection itself. */
    destroyedByStub?: boolean;
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    // The caller went away in mid-body: the call counts with what came.
  }
  return Buffer.concat(chunks).toString('utf8');
}

function toCall(request: IncomingMessage, body: string): StubCall {
  const url = new URL(request.url ?? '/', 'http://stub');
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  return {
    method: request.method ?? 'GET',
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers,
    body,
    json: parseOrUndefined(body),
    at: Date.now(),
    aborted: false,
  };
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

async function replyOf(script: StubScript, call: StubCall, nth: number): Promise<StubReply> {
  if (typeof script === 'function') return await script(call, nth);
  if (Array.isArray(script)) return (script as readonly StubReply[])[Math.min(nth, script.length - 1)] ?? {};
  return script as StubReply;
}

function send(response: ServerResponse, reply: StubReply): void {
  if (reply.fault === 'hang') return;
  const answer = () => {
    if (response.destroyed) return;
    if (reply.fault === 'drop') {
      response.destroyedByStub = true;
      response.socket?.destroy();
      return;
    }
    const raw = reply.body instanceof Uint8Array || typeof reply.body === 'string';
    const body = raw ? Buffer.from(reply.body as string) : Buffer.from(reply.body === undefined ? '' : JSON.stringify(reply.body));
    const type = raw ? 'text/plain' : 'application/json';
    response.writeHead(reply.status ?? 200, { 'content-type': type, 'content-length': String(body.length), ...reply.headers });
    if (reply.fault === 'stall') response.write(body.subarray(0, Math.ceil(body.length / 2)));
    else response.end(body);
  };
  if (reply.delayMs === undefined) answer();
  else setTimeout(answer, reply.delayMs).unref();
}
