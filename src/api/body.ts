/** Reads a JSON body: bounded, unbuffered beyond its limit, and only after the caller is known. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../errors.js';

export const MAX_BODY_BYTES = 1024 * 1024;
/** What is read and thrown away of a body that was refused, so that its sender gets to read the answer. */
const DRAIN_BYTES = 64 * 1024 * 1024;
const DRAIN_MS = 10_000;

/** The parsed body, undefined when there is none. @throws AppError bad_request, payload_too_large, unsupported_media_type */
export async function readJsonBody(req: IncomingMessage, res: ServerResponse): Promise<unknown> {
  if (!hasBody(req)) return undefined;
  checkLength(req);
  checkMediaType(req);
  if (req.headers.expect?.toLowerCase() === '100-continue') res.writeContinue();
  const bytes = await readBounded(req);
  return bytes.length === 0 ? undefined : parseJson(bytes);
}

/** The bytes as they were sent, for what is signed over them: no media type is asked for. @throws AppError bad_request, payload_too_large */
export async function readRawBody(req: IncomingMessage, res: ServerResponse): Promise<Buffer> {
  if (!hasBody(req)) return Buffer.alloc(0);
  checkLength(req);
  if (req.headers.expect?.toLowerCase() === '100-continue') res.writeContinue();
  return await readBounded(req);
}

/** Whether a message announces a body (RFC 9112 §6). */
function hasBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}

function checkLength(req: IncomingMessage): void {
  if (Number(req.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
}

function checkMediaType(req: IncomingMessage): void {
  const [type = '', ...parameters] = (req.headers['content-type'] ?? '')
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  const charset =
    parameters
      .find((parameter) => parameter.startsWith('charset='))
      ?.slice('charset='.length)
      .replaceAll('"', '') ?? 'utf-8';
  const isJson = type === 'application/json' || /^application\/[a-z0-9.!#$&^_-]+\+json$/.test(type);
  if (!isJson) throw unsupported(`Send application/json, not ${type === '' ? 'a body without Content-Type' : type}`);
  if (charset !== 'utf-8' && charset !== 'utf8') throw unsupported(`Send UTF-8, not ${charset}`);
  const encoding = (req.headers['content-encoding'] ?? 'identity').toLowerCase();
  if (encoding !== 'identity') throw unsupported(`Send the body as it is, not in Content-Encoding ${encoding}`);
}

function readBounded(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (settle: () => void): void => {
      req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      settle();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) finish(() => reject(tooLarge()));
      else chunks.push(chunk);
    };
    const onEnd = (): void => finish(() => resolve(Buffer.concat(chunks)));
    const onClose = (): void => finish(() => reject(badRequest('The body ended early')));
    req.on('data', onData).once('end', onEnd).once('close', onClose).once('error', onClose);
  });
}

function parseJson(bytes: Buffer): unknown {
  const text = decodeUtf8(bytes);
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badRequest(`The body is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : 'unreadable'}`);
  }
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw badRequest('The body is not UTF-8');
  }
}

/** Lets a body that nobody reads run out, within bounds; then cuts the connection. Call once the answer is written. */
export function discardBody(req: IncomingMessage): void {
  if (req.readableEnded || req.destroyed) return;
  let size = 0;
  const cut = (): void => {
    req.socket.destroy();
  };
  const timer = setTimeout(cut, DRAIN_MS).unref();
  req.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > DRAIN_BYTES) cut();
  });
  req
    .once('close', () => clearTimeout(timer))
    .once('end', () => clearTimeout(timer))
    .on('error', () => undefined);
  req.resume();
}

const tooLarge = (): AppError =>
  new AppError('payload_too_large', `A body may have ${MAX_BODY_BYTES} bytes`, { limitBytes: MAX_BODY_BYTES });
const unsupported = (detail: string): AppError => new AppError('unsupported_media_type', detail, {});
const badRequest = (detail: string): AppError => new AppError('bad_request', detail, {});
