/** A WebSocket's handshake, before it is one: its path and ticket, where its page is from, and refusals as HTTP. Pure but for the answer. */
import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { AppError, type ErrorCode } from '../errors.js';

export interface Handshake {
  readonly path: string;
  readonly ticket?: string;
}

export function handshakeOf(req: IncomingMessage): Handshake {
  const target = req.url ?? '';
  const mark = target.indexOf('?');
  const ticket = mark < 0 ? null : new URLSearchParams(target.slice(mark)).get('ticket');
  return {
    path: mark < 0 ? target : target.slice(0, mark),
    ...(ticket === null ? {} : { ticket }),
  };
}

/** Whether a browser's page of another origin asks. Who sends no Origin is no browser. */
export function isForeign(req: Pick<IncomingMessage, 'headers'>): boolean {
  const { origin, host } = req.headers;
  if (origin === undefined) return false;
  try {
    return new URL(origin).host !== host?.toLowerCase();
  } catch {
    return true;
  }
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  rate_limited: 429,
  unavailable: 503,
};

/** Refuses with a problem document and ends the connection. */
export function answerHandshake(socket: Duplex, error: unknown): void {
  const code: ErrorCode = error instanceof AppError ? error.code : 'internal_error';
  const status = STATUS[code] ?? 500;
  const title = STATUS_CODES[status] ?? 'Error';
  const detail = error instanceof AppError ? error.message : 'The handshake could not be answered';
  const body = JSON.stringify({ type: `urn:signalbox:problem:${code}`, title, status, detail, code });
  const headers = [
    `HTTP/1.1 ${status} ${title}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...(status === 429 || status === 503 ? ['Retry-After: 1'] : []),
  ];
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
}
