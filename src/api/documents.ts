/** The routes that describe the others; made last, as they need the whole table. */
import { z } from 'zod';
import { toOpenApi } from './openapi.js';
import { publicRoute, reply, type Route } from './route.js';

export function documentRoutes(others: readonly Route[]): readonly Route[] {
  let document: object | undefined;
  const self: Route = publicRoute({
    method: 'get', path: '/openapi.json', tag: 'Documents', summary: 'This document',
    responses: { 200: z.looseObject({ openapi: z.string() }) },
    handle: async ({ deps }) => reply(200, (document ??= toOpenApi([...others, self], deps.version)) as { openapi: string }),
  });
  return [self];
}
