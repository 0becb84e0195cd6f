/** A request against its route: everything wrong with it is told at once. */
import type { Request, Response } from 'express';
import type { z } from 'zod';
import { AppError } from '../errors.js';
import { readJsonBody } from './body.js';
import type { Problem } from './problem.js';
import type { Route } from './route.js';
import { IdempotencyKeySchema } from './idempotency-key.js';
import { problemsOf, validationFailed } from './validation.js';

export interface CheckedRequest {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly idempotencyKey: string | undefined;
}

/** @throws AppError not_found, bad_request, payload_too_large, unsupported_media_type, validation_failed */
export async function checkRequest(route: Route, req: Request, res: Response): Promise<CheckedRequest> {
  const params = checkParams(route, req);
  const problems: Problem[] = [];
  const part = (schema: z.ZodType | undefined, value: unknown, base: string): unknown => {
    if (schema === undefined) return undefined;
    const result = schema.safeParse(value);
    if (!result.success) problems.push(...problemsOf(result.error, base));
    return result.data;
  };
  const query = part(route.query, { ...req.query }, '/query');
  const header = part(
    route.idempotent === true ? IdempotencyKeySchema.optional() : undefined,
    req.headers['idempotency-key'],
    '/headers/idempotency-key',
  );
  const body = part(route.body, route.body === undefined ? undefined : await readJsonBody(req, res), '');
  if (problems.length > 0) throw validationFailed(problems);
  return { params, query, body, idempotencyKey: header as string | undefined };
}

/** A parameter that cannot be an id names nothing that exists, and nothing that could be made. */
function checkParams(route: Route, req: Request): unknown {
  if (route.params === undefined) return undefined;
  const result = route.params.safeParse(req.params);
  if (result.success) return result.data;
  if (route.isNamed === true) throw validationFailed(problemsOf(result.error, '/params'));
  throw new AppError('not_found', 'There is nothing here', {
    kind: route.tag.toLowerCase(),
    id: Object.values(req.params).join('/').slice(0, 200),
  });
}
