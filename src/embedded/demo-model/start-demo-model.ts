import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { demoReply, estimatedTokens, textOf, type DemoRequest } from './demo-reply.js';
import { toError, toEvents, toFrame, toMessage, type WireReply } from './wire.js';

export interface DemoModel {
  /** Base URL for the model SDK. */
  readonly url: string;
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 32 * 1024 * 1024;
/** So that streaming can be seen. */
const WORD_DELAY_MS = 12;

/**
 * Starts the built-in model that `npm start` uses without a key: a local server of the messages protocol, so that the same
 * code runs as with a real one. Any key is accepted. Listens on the loopback address alone.
 * @param options.port 0 or absent: a free one
 */
export async function startDemoModel(options: { readonly port?: number; readonly wordDelayMs?: number } = {}): Promise<DemoModel> {
  const delayMs = options.wordDelayMs ?? WORD_DELAY_MS;
  const server = createServer((request, response) => void answer(request, response, delayMs).catch(() => response.destroy()));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, delayMs: number): Promise<void> {
  const path = (request.url ?? '').split('?')[0];
  if (request.method !== 'POST' || path?.startsWith('/v1/messages') !== true)
    return sendJson(response, 404, toError('not_found_error', 'The demo model serves POST /v1/messages'));
  const body = await readJson(request);
  if (body === undefined) return sendJson(response, 400, toError('invalid_request_error', 'The body is not JSON or too large'));
  if (path === '/v1/messages/count_tokens') return sendJson(response, 200, { input_tokens: estimatedTokens(textOf(body)) });
  const reply = toReply(body);
  if (body.stream !== true) return sendJson(response, 200, toMessage(reply));
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', 'request-id': reply.id });
  for (const event of toEvents(reply)) {
    if (response.destroyed) return;
    response.write(toFrame(event));
    if (event.event === 'content_block_delta') await sleep(delayMs);
  }
  response.end();
}

function toReply(request: DemoRequest): WireReply {
  const { text, toolCalls } = demoReply(request);
  const id = randomBytes(8).toString('hex');
  return {
    id: `msg_demo_${id}`,
    model: typeof request.model === 'string' ? request.model : 'demo',
    chunks: text.match(/\S+\s*/g) ?? [text],
    toolCalls: toolCalls.map((call, index) => ({ id: `toolu_demo_${id}_${index}`, ...call })),
    stopReason: toolCalls.length > 0 ? 'tool_use' : 'end_turn',
    inputTokens: estimatedTokens(textOf(request)),
    outputTokens: estimatedTokens(text + toolCalls.map(({ input }) => JSON.stringify(input)).join('')),
  };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function readJson(request: IncomingMessage): Promise<DemoRequest | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk as Buffer);
  }
  try {
    return bytes > MAX_BODY_BYTES ? undefined : (JSON.parse(Buffer.concat(chunks).toString('utf8')) as DemoRequest);
  } catch {
    return undefined;
  }
}
