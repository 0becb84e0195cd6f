import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import type { Json } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';

export const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;

/** All bytes of the response. @throws StepFault `http_too_large` as soon as it is known to be above the limit. */
export async function readBytes(body: Readable, announced: number | undefined): Promise<Buffer> {
  if (announced !== undefined && announced > MAX_RESPONSE_BYTES) throw tooLarge(body);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_RESPONSE_BYTES) throw tooLarge(body);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function tooLarge(body: Readable): StepFault {
  body.on('error', () => undefined);
  body.destroy();
  return tooLargeFault();
}
const tooLargeFault = () =>
  new StepFault('http_too_large', `The response is above ${MAX_RESPONSE_BYTES} bytes`, { details: { limit: MAX_RESPONSE_BYTES } });

const DECODERS: { readonly [encoding: string]: (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer> } = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
};

/** Undoes `Content-Encoding`, which servers use also unasked. The limit holds for what comes out. */
export async function decoded(bytes: Buffer, encoding: string | undefined): Promise<Buffer> {
  const decode = DECODERS[(encoding ?? '').trim().toLowerCase()];
  if (decode === undefined || bytes.length === 0) return bytes;
  try {
    return await decode(bytes, { maxOutputLength: MAX_RESPONSE_BYTES });
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLargeFault();
    throw new StepFault('http_unreachable', `The response does not decode as ${encoding}`, { retryable: true, cause: error });
  }
}

/**
 * The body as a value: parsed when the content type says JSON (text that does not parse stays text), else text; bytes that
 * are no text become base64, and `encoding` says so.
 */
export function toBody(bytes: Buffer, contentType: string): { readonly body: Json; readonly encoding?: 'base64' } {
  const text = toText(bytes, contentType);
  if (text === undefined) return { body: bytes.toString('base64'), encoding: 'base64' };
  return { body: isJson(contentType) ? parsedOrText(text) : text };
}

const isJson = (contentType: string): boolean => /^[^;]*[/+]json\s*(;|$)/i.test(contentType);

function toText(bytes: Buffer, contentType: string): string | undefined {
  const charset = /charset\s*=\s*"?([^\s;"]+)/i.exec(contentType)?.[1] ?? 'utf-8';
  return decodeAs(bytes, charset) ?? (charset.toLowerCase() === 'utf-8' ? undefined : decodeAs(bytes, 'utf-8'));
}

function decodeAs(bytes: Buffer, charset: string): string | undefined {
  try {
    return new TextDecoder(charset, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Deeper than anything real: later walks over the value are recursive. */
const MAX_DEPTH = 512;

function parsedOrText(text: string): Json {
  if (text.trim() === '') return null;
  if (depthOf(text) > MAX_DEPTH) return text;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** Deepest nesting of brackets outside of strings; a JSON text need not be parsed for it. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (inString) {
      if (char === BACKSLASH) at++;
      else if (char === QUOTE) inString = false;
    } else if (char === QUOTE) inString = true;
    else if (char === OPEN_LIST || char === OPEN_OBJECT) deepest = Math.max(deepest, ++depth);
    else if (char === CLOSE_LIST || char === CLOSE_OBJECT) depth--;
  }
  return deepest;
}

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];
