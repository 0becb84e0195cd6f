/** The caller's `X-Request-Id` where it is harmless, else one of our own; also on every answer. */
import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';

const HARMLESS = /^[A-Za-z0-9_.:/+=-]{1,128}$/;

export const assignRequestId: RequestHandler = (req, res, next) => {
  const given = req.headers['x-request-id'];
  const requestId = typeof given === 'string' && HARMLESS.test(given) ? given : newRequestId();
  res.locals.requestId = requestId;
  res.setHeader('X-Request-Id', requestId);
  next();
};

export const newRequestId = (): string => `req_${randomUUID()}`;

/** The id that `assignRequestId` gave. */
export const requestIdOf = (locals: { readonly requestId?: unknown }): string =>
  typeof locals.requestId === 'string' ? locals.requestId : 'req_unknown';
