/** A model whose replies are times: each piece says when it was sent, at a given rate. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toEvents, toFrame, type WireReply } from '../src/embedded/demo-model/wire.js';

/** Milliseconds that mean the same in every process of this machine. */
export const clock = (): number => performance.timeOrigin + performance.now();

export class ModelStub {
  /** Pieces of a reply, and the time between them. */
  pieces = 1;
  everyMs = 20;
  private replies = 0;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(): Promise<ModelStub> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const stub = new ModelStub(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on('request', (request, response) => {
      request.resume();
      request.once('end', () => void stub.reply(response));
    });
    return stub;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async reply(response: ServerResponse): Promise<void> {
    this.replies += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const reply: WireReply = {
      id: `msg_${this.replies}`,
      model: 'bench',
      chunks: [''],
      stopReason: 'end_turn',
      inputTokens: 10,
      outputTokens: this.pieces,
    };
    const events = [...toEvents(reply)];
    const at = events.findIndex(({ event }) => event === 'content_block_delta');
    for (const event of events.slice(0, at)) response.write(toFrame(event));
    const started = performance.now();
    for (let sent = 0; sent < this.pieces; sent += 1) {
      // By the clock, so that a late timer does not slow the rate down.
      const wait = started + sent * this.everyMs - performance.now();
      if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait));
      const delta = { type: 'text_delta', text: `${clock().toFixed(2)} ` };
      response.write(toFrame({ event: 'content_block_delta', data: { type: 'content_block_delta', index: 0, delta } }));
    }
    for (const event of events.slice(at + 1)) response.write(toFrame(event));
    response.end();
  }
}
