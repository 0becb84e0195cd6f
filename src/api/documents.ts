/** The routes that describe the others and the language; made last, as they need the whole table. */
import { z } from 'zod';
import { definitionJsonSchema } from '../definition/index.js';
import { toOpenApi } from './openapi.js';
import { publicRoute, reply, type Route } from './route.js';

const tag = 'Documents';

export function documentRoutes(others: readonly Route[]): readonly Route[] {
  const own: Route[] = [definitionSchemaRoute];
  let document: { readonly openapi: string } | undefined;
  own.push(
    publicRoute({
      method: 'get',
      path: '/openapi.json',
      tag,
      summary: 'This document',
      responses: { 200: z.looseObject({ openapi: z.string() }) },
      handle: async ({ deps }) => reply(200, (document ??= toOpenApi([...others, ...own], deps.version))),
    }),
  );
  return own;
}

const definitionSchemaRoute = publicRoute({
  method: 'get',
  path: '/api/schema/definition',
  tag,
  summary: 'JSON Schema 2020-12 of a definition',
  responses: { 200: z.looseObject({}) },
  handle: async () => reply(200, definitionJsonSchema()),
});
