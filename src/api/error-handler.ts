/** The last word on every error: a problem document, nothing of our inside in it. */
import type { ErrorRequestHandler, Request, Response } from 'express';
import type { Logger } from 'pino';
import { AppError } from '../errors.js';
import { isAway } from '../store/database-error.js';
import { discardBody } from './body.js';
import { statusOf, toProblemReply } from './problem.js';
import { requestIdOf } from './request-id.js';

/** Express's last middleware. */
export function createErrorHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, req, res, _next) => {
    const known = toAppError(error);
    if (statusOf(known.code) >= 500) logFault(log, req, res, error, known);
    if (res.headersSent) res.destroy();
    else writeProblem(req, res, known);
  };
}

/** What a caller may be told of any error. */
function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (isBadPath(error)) return new AppError('bad_request', 'The path is not valid percent-encoded UTF-8', {});
  if (isAway(error)) return new AppError('unavailable', 'The database cannot be reached now', { part: 'postgres', retryAfterSeconds: 2 });
  return new AppError('internal_error', 'Something went wrong here; the request id finds it in the log', {}, { cause: error });
}

/** The router's own: it decodes path parameters before any handler sees them. */
const isBadPath = (error: unknown): boolean => error instanceof URIError || (error as { readonly status?: unknown } | null)?.status === 400;

function logFault(log: Logger, req: Request, res: Response, error: unknown, known: AppError): void {
  const fields = { requestId: requestIdOf(res.locals), method: req.method, route: res.locals.route as unknown, code: known.code, error };
  if (known.code === 'unavailable') log.warn(fields, 'a request met an unavailable part');
  else log.error(fields, 'a request failed');
}

function writeProblem(req: Request, res: Response, error: AppError): void {
  const { document, headers } = toProblemReply(error, requestIdOf(res.locals));
  const body = JSON.stringify(document);
  res.writeHead(document.status, {
    ...headers,
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  });
  res.end(body);
  discardBody(req);
}
