/** The listening socket: limits of time and size, faults of the wire, and an orderly end. */
import { createServer, IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { newRequestId } from './request-id.js';

export interface HttpServer {
  /** `http://host:port` as listened on. */
  readonly url: string;
  readonly port: number;
  /** Takes nothing new, lets what is under way end, and cuts what is left after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Takes connections that ask for another protocol; without it they are answered as if they had not asked. */
  readonly onUpgrade?: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** Why nothing can be listened to, in words for whoever set HOST and PORT. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** Longer than the idle limit of common proxies, so that the proxy closes first and never meets a dead connection. */
const KEEP_ALIVE_MS = 75_000;
/** For a whole request; the answer may take as long as it needs. */
const REQUEST_MS = 60_000;
const HEADERS_MS = 20_000;
const MAX_HEADER_BYTES = 16 * 1024;
const IDLE_LOOK_MS = 50;

/**
 * Once something takes upgrades, Node hands it every request that offers one. Some clients offer HTTP/2 with each request (`Upgrade:
 * h2c`): those are requests like all others.
 */
class Message extends IncomingMessage {
  // Set by the constructor above this one, before any field of ours would be.
  declare private isOffered: boolean;

  set upgrade(isOffered: boolean) {
    this.isOffered = isOffered;
  }

  get upgrade(): boolean {
    // CONNECT has no path that a router could read: it is handed over, to be hung up on.
    return this.isOffered && (this.method === 'CONNECT' || this.headers.upgrade?.toLowerCase() === 'websocket');
  }
}

/** @throws ListenError that says which port is taken, or what else forbids it */
export async function listen(app: RequestListener, options: ListenOptions): Promise<HttpServer> {
  const server = createServer(
    {
      IncomingMessage: Message,
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: REQUEST_MS,
      headersTimeout: HEADERS_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      connectionsCheckingInterval: 5_000,
      // Node's own refusal has no body.
      requireHostHeader: false,
    },
    (req, res) => {
      if (req.headers.host === undefined && req.httpVersion === '1.1') answerUnreadable(new Error('no Host'), req.socket);
      else app(req, res);
    },
  );
  // The body's reader says when to go on: a body that will be refused is then never sent.
  server.on('checkContinue', app);
  server.on('clientError', answerUnreadable);
  server.on('connect', (_req: IncomingMessage, socket: Duplex) => socket.destroy());
  if (options.onUpgrade !== undefined) server.on('upgrade', options.onUpgrade);
  await bind(server, options);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    close: (graceMs) => close(server, graceMs),
  };
}

function bind(server: Server, { host, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explained(error, host, port)));
    server.listen(port, host, () => {
      server.removeAllListeners('error').on('error', () => undefined);
      resolve();
    });
  });
}

function explained(cause: NodeJS.ErrnoException, host: string, port: number): Error {
  switch (cause.code ?? '') {
    case 'EADDRINUSE':
      return new ListenError(`port ${port} on ${host} is taken: stop what listens there, or set PORT to another (0: any free one)`, {
        cause,
      });
    case 'EACCES':
      return new ListenError(`port ${port} may not be opened by this account: set PORT to one above 1023`, { cause });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ListenError(`HOST ${host} is not an address of this machine`, { cause });
    default:
      return cause;
  }
}

/** What is not HTTP never becomes a request: a line for the caller, then the end. A caller that is gone gets nothing. */
function answerUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  const requestId = newRequestId();
  const body = JSON.stringify({
    type: 'urn:signalbox:problem:bad_request',
    title: 'Bad request',
    status: Number(status.slice(0, 3)),
    detail: status.slice(4),
    code: 'bad_request',
    requestId,
  });
  const headers = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
  ];
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
}

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    // Kept-alive connections become idle one by one as their answers end.
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MS);
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearInterval(idle);
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}
