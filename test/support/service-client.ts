/** HTTP as a caller of the service sees it: one connection a call, so that a gateway killed in between leaves no dead socket behind. */
import { request, type IncomingMessage } from 'node:http';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { LoggedEvent, ProblemDocument } from './service-shapes.js';

export interface Answer<Body> {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Body;
  readonly text: string;
}

export interface CallOptions {
  readonly headers?: { readonly [name: string]: string };
  /** Sent as it is, instead of a body as JSON. */
  readonly raw?: string | Buffer;
}

export class ServiceClient {
  constructor(
    readonly baseUrl: string,
    readonly key: string | null,
  ) {}

  withKey(key: string | null): ServiceClient {
    return new ServiceClient(this.baseUrl, key);
  }

  get<Body>(path: string, options?: CallOptions): Promise<Answer<Body>> {
    return this.call('GET', path, undefined, options);
  }

  post<Body>(path: string, body?: unknown, options?: CallOptions): Promise<Answer<Body>> {
    return this.call('POST', path, body ?? {}, options);
  }

  /** A POST that is expected to be refused. */
  refused(path: string, body?: unknown, options?: CallOptions): Promise<Answer<ProblemDocument>> {
    return this.post<ProblemDocument>(path, body, options);
  }

  put<Body>(path: string, body: unknown): Promise<Answer<Body>> {
    return this.call('PUT', path, body);
  }

  delete(path: string): Promise<Answer<unknown>> {
    return this.call('DELETE', path, undefined);
  }

  async call<Body>(method: string, path: string, body: unknown, options: CallOptions = {}): Promise<Answer<Body>> {
    const payload = options.raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await this.open(method, path, payload, options.headers ?? {});
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    return { status: response.statusCode ?? 0, headers: response.headers, body: parse(text) as Body, text };
  }

  /**
   * The events of an execution as they come, each once and in order, reconnecting by `Last-Event-ID` until the stream
   * closes behind the terminal event.
   */
  async *stream(executionId: string, options: { readonly after?: number; readonly signal: AbortSignal }): AsyncGenerator<LoggedEvent> {
    let last = options.after ?? 0;
    while (!options.signal.aborted) {
      try {
        for await (const event of this.oneStream(executionId, last, options.signal)) {
          last = event.seq;
          yield event;
          if (/^execution\.(completed|failed|cancelled)$/.test(event.kind)) return;
        }
      } catch (error) {
        if (options.signal.aborted || !isConnectionFault(error)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  private async *oneStream(executionId: string, after: number, signal: AbortSignal): AsyncGenerator<LoggedEvent> {
    const response = await this.open(
      'GET',
      `/api/executions/${encodeURIComponent(executionId)}/stream`,
      undefined,
      { 'Last-Event-ID': String(after) },
      signal,
    );
    if (response.statusCode !== 200) {
      response.resume();
      throw Object.assign(new Error(`stream answered ${response.statusCode}`), {
        code: (response.statusCode ?? 500) >= 500 ? 'EUNAVAILABLE' : 'EREFUSED',
      });
    }
    const waiting: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (message) => void waiting.push(message) });
    response.setEncoding('utf8');
    for await (const chunk of response) {
      parser.feed(chunk as string);
      for (const message of waiting.splice(0)) yield JSON.parse(message.data) as LoggedEvent;
    }
  }

  private open(
    method: string,
    path: string,
    payload: string | Buffer | undefined,
    headers: { readonly [name: string]: string },
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, this.baseUrl), {
        method,
        agent: false,
        ...(signal === undefined ? {} : { signal }),
        headers: {
          ...(this.key === null ? {} : { authorization: `Bearer ${this.key}` }),
          ...(payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(payload)) }),
          ...headers,
        },
      });
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
      outgoing.end(payload);
    });
  }
}

/** The gateway is away or went away: the caller may try again. */
export function isConnectionFault(error: unknown): boolean {
  const code = (error as { code?: string } | null)?.code;
  return code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === 'EPIPE' || code === 'EUNAVAILABLE';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
