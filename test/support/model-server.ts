/** A scripted model for tests: speaks the messages protocol, writes down every request, fails as told. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toError, toEvents, toFrame, toMessage, type WireReply } from '../../src/embedded/demo-model/wire.js';

export interface ModelRequest {
  readonly body: {
    readonly model: string;
    readonly max_tokens: number;
    readonly stream?: boolean;
    readonly system?: unknown;
    readonly messages: readonly { readonly role: string; readonly content: unknown }[];
    readonly tools?: unknown;
  };
  readonly headers: { readonly [name: string]: string };
  readonly at: number;
  /** The caller closed the connection before it had the whole reply. */
  aborted: boolean;
}

export interface ModelReply {
  /** Streamed in these pieces; a text is one piece. */
  readonly text?: string | readonly string[];
  readonly toolCalls?: readonly { readonly id?: string; readonly name: string; readonly input: unknown }[];
  readonly stopReason?: string;
  readonly usage?: { readonly inputTokens: number; readonly outputTokens: number };
  readonly chunkDelayMs?: number;
  readonly error?: {
    readonly status: number;
    readonly type?: string;
    readonly message?: string;
    readonly headers?: { readonly [name: string]: string };
  };
  /**
   * `hang`: never answers. `drop`: cuts before the first byte. `hang_mid`, `cut_mid`, `error_mid`: after the text, never goes on / cuts / sends an
   * error event (type `error.type`, default overloaded_error). `unfinished`: ends cleanly without message_stop.
   */
  readonly fault?: 'hang' | 'drop' | 'hang_mid' | 'cut_mid' | 'error_mid' | 'unfinished';
}
export type ModelScript = ModelReply | readonly ModelReply[] | ((request: ModelRequest, nth: number) => ModelReply);

export interface ModelServer {
  readonly url: string;
  readonly requests: readonly ModelRequest[];
  /** One reply for ever, one a request (the last one stays), or computed. Starts counting anew. */
  script(script: ModelScript): void;
  /** Resolves when that many requests have come since the last `script` or `clear`. */
  called(times?: number): Promise<readonly ModelRequest[]>;
  /** Resolves when that many were cut off by their caller. */
  aborted(times?: number): Promise<readonly ModelRequest[]>;
  clear(): void;
  close(): Promise<void>;
}

export async function startModelServer(initial: ModelScript = { text: 'ok' }): Promise<ModelServer> {
  let script = initial;
  const requests: ModelRequest[] = [];
  const waiters = new Set<() => void>();
  const changed = () => {
    for (const waiter of waiters) waiter();
  };
  const server = createServer((incoming, response) => void handle(incoming, response).catch(() => response.destroy()));

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await toRequest(incoming);
    const nth = requests.push(request) - 1;
    let cutByServer = false;
    response.once('close', () => {
      request.aborted = !response.writableFinished && !cutByServer;
      changed();
    });
    changed();
    const reply = pick(script, request, nth);
    cutByServer = reply.fault === 'drop' || reply.fault === 'cut_mid';
    await send(response, reply, request);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const until = (keep: (request: ModelRequest) => boolean, times: number) =>
    new Promise<readonly ModelRequest[]>((resolve) => {
      const look = () => {
        const found = requests.filter(keep);
        if (found.length < times) return;
        waiters.delete(look);
        resolve(found);
      };
      waiters.add(look);
      look();
    });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    script: (next) => {
      script = next;
      requests.length = 0;
    },
    called: (times = 1) => until(() => true, times),
    aborted: (times = 1) => until((request) => request.aborted, times),
    clear: () => void (requests.length = 0),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function toRequest(incoming: IncomingMessage): Promise<ModelRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
  return { body: JSON.parse(Buffer.concat(chunks).toString('utf8')) as ModelRequest['body'], headers, at: Date.now(), aborted: false };
}

function pick(script: ModelScript, request: ModelRequest, nth: number): ModelReply {
  if (typeof script === 'function') return script(request, nth);
  if (Array.isArray(script)) return (script as readonly ModelReply[])[Math.min(nth, script.length - 1)] ?? {};
  return script as ModelReply;
}

async function send(response: ServerResponse, reply: ModelReply, request: ModelRequest): Promise<void> {
  if (reply.fault === 'hang') return;
  if (reply.fault === 'drop') return void response.socket?.destroy();
  if (reply.error !== undefined && reply.fault === undefined) {
    response.writeHead(reply.error.status, { 'content-type': 'application/json', ...reply.error.headers });
    return void response.end(JSON.stringify(toError(reply.error.type ?? 'api_error', reply.error.message ?? 'scripted')));
  }
  const wire = toWire(reply, request);
  if (request.body.stream !== true)
    return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(toMessage(wire)));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const event of toEvents(wire)) {
    if (event.event === 'content_block_stop' && reply.fault !== undefined) return endBadly(response, reply);
    response.write(toFrame(event));
    if (reply.chunkDelayMs !== undefined && event.event === 'content_block_delta')
      await new Promise((resolve) => setTimeout(resolve, reply.chunkDelayMs));
  }
  response.end();
}

function endBadly(response: ServerResponse, reply: ModelReply): void {
  if (reply.fault === 'hang_mid') return;
  if (reply.fault === 'cut_mid') return void setTimeout(() => response.socket?.destroy(), 20);
  if (reply.fault === 'error_mid')
    response.write(toFrame({ event: 'error', data: { ...toError(reply.error?.type ?? 'overloaded_error', 'scripted'), type: 'error' } }));
  response.end();
}

function toWire(reply: ModelReply, request: ModelRequest): WireReply {
  const chunks = reply.text === undefined ? [] : typeof reply.text === 'string' ? [reply.text] : reply.text;
  const toolCalls = (reply.toolCalls ?? []).map((call, index) => ({ id: call.id ?? `toolu_${index}`, name: call.name, input: call.input }));
  return {
    id: 'msg_scripted',
    model: request.body.model,
    chunks,
    toolCalls,
    stopReason: reply.stopReason ?? (toolCalls.length > 0 ? 'tool_use' : 'end_turn'),
    inputTokens: reply.usage?.inputTokens ?? 10,
    outputTokens: reply.usage?.outputTokens ?? 5,
  };
}
