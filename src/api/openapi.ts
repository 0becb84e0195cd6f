/** The OpenAPI 3.1 document, made from the same table that registers and checks the routes. Pure. */
import { z } from 'zod';
import { ROLES, isAllowed } from '../operations/role-matrix.js';
import { LOGIN_COOKIE } from './login-cookie.js';
import { ProblemDocumentSchema } from './problem.js';
import type { Route } from './route.js';
import { components } from './shapes.js';

type JsonSchema = { [key: string]: unknown };
type Io = 'input' | 'output';

const PREFIX = '#/components/schemas/';

/** The whole document. `version` is the service's. */
export function toOpenApi(routes: readonly Route[], version: string): { readonly openapi: string } & JsonSchema {
  const document = new DocumentBuilder();
  const paths: { [path: string]: JsonSchema } = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method]: document.operation(route) };
  }
  return {
    openapi: '3.1.1',
    info: { title: 'Signalbox', version, description: 'Durable workflows written as JSON. Every error is a problem document (RFC 9457).' },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, { login: [] }],
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An API key, sbx_…' },
        login: {
          type: 'apiKey',
          in: 'cookie',
          name: LOGIN_COOKIE,
          description: 'A browser’s login, of POST /api/login. Writes bear X-CSRF-Token, the csrfToken of GET /api/me, as well',
        },
      },
      schemas: document.schemas,
    },
  };
}

class DocumentBuilder {
  /** Named schemas met on the way. */
  readonly schemas: JsonSchema = {};

  operation(route: Route): JsonSchema {
    return {
      operationId: operationIdOf(route),
      summary: route.summary,
      description: [route.description, whoMay(route)].filter(Boolean).join('\n\n'),
      tags: [route.tag],
      ...(route.auth === 'public' ? { security: [] } : {}),
      parameters: this.parameters(route),
      ...(route.body === undefined ? {} : { requestBody: this.requestBody(route.body) }),
      responses: { ...this.answers(route), ...this.problems(route) },
    };
  }

  private parameters(route: Route): JsonSchema[] {
    const header = { name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string', minLength: 1, maxLength: 255 } };
    return [
      ...this.parametersIn('path', route.params),
      ...this.parametersIn('query', route.query),
      ...(route.idempotent === true ? [header] : []),
    ];
  }

  private parametersIn(place: 'path' | 'query', object: z.ZodObject | undefined): JsonSchema[] {
    if (object === undefined) return [];
    const { properties = {}, required = [] } = this.inlined(object, 'input') as { properties?: JsonSchema; required?: string[] };
    return Object.entries(properties).map(([name, schema]) => {
      const { description, ...rest } = schema as JsonSchema;
      return {
        name,
        in: place,
        required: place === 'path' || required.includes(name),
        ...(description === undefined ? {} : { description }),
        schema: rest,
      };
    });
  }

  private requestBody(body: z.ZodType): JsonSchema {
    return { required: !body.safeParse(undefined).success, content: { 'application/json': { schema: this.inlined(body, 'input') } } };
  }

  private answers(route: Route): JsonSchema {
    return Object.fromEntries(Object.entries(route.responses).map(([status, schema]) => [status, this.answer(route, schema)]));
  }

  private answer(route: Route, schema: z.ZodType | null): JsonSchema {
    if (route.produces !== undefined) return { description: route.summary, content: { [route.produces]: { schema: { type: 'string' } } } };
    if (schema === null) return { description: 'Done; no body' };
    return { description: route.summary, content: { 'application/json': { schema: this.inlined(schema, 'output') } } };
  }

  private problems(route: Route): JsonSchema {
    const schema = this.inlined(ProblemDocumentSchema, 'output');
    const entries = [...problemCodes(route)].map(
      ([status, codes]) => [status, { description: codes.join(', '), content: { 'application/problem+json': { schema } } }] as const,
    );
    return Object.fromEntries(entries);
  }

  /** The schema with named parts moved to the components. */
  private inlined(schema: z.ZodType, io: Io): JsonSchema {
    const {
      $schema: _,
      $defs = {},
      ...rest
    } = z.toJSONSchema(schema, { metadata: components, io, unrepresentable: 'any', override: tidy(io) }) as JsonSchema;
    for (const [id, definition] of Object.entries($defs as JsonSchema)) this.schemas[id] = withComponentRefs(definition);
    return withComponentRefs(rest) as JsonSchema;
  }
}

/** zod writes 300-character patterns beside formats, bounds of safe integers, and closes objects that may gain fields. */
function tidy(io: Io): (context: { jsonSchema: z.core.JSONSchema.BaseSchema; zodSchema: z.core.$ZodTypes }) => void {
  return ({ jsonSchema }) => {
    if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
  };
}

function withComponentRefs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withComponentRefs);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key,
      key === '$ref' && typeof child === 'string' ? child.replace('#/$defs/', PREFIX) : withComponentRefs(child),
    ]),
  );
}

/** Problems that any route of this kind may answer, and its own. */
function problemCodes(route: Route): Map<number, string[]> {
  const codes = new Map<number, string[]>();
  const add = (status: number, ...names: readonly string[]): void => {
    codes.set(status, [...new Set([...(codes.get(status) ?? []), ...names])]);
  };
  if (route.body !== undefined) {
    add(400, 'bad_request');
    add(413, 'payload_too_large');
    add(415, 'unsupported_media_type');
  }
  if (route.body !== undefined || route.query !== undefined) add(422, 'validation_failed');
  if (route.auth !== 'public') {
    add(401, 'unauthenticated');
    add(403, 'forbidden');
    add(429, 'rate_limited');
    add(503, 'unavailable');
  }
  if (route.params !== undefined) add(404, 'not_found');
  for (const [status, names] of Object.entries(route.problems ?? {})) add(Number(status), ...names);
  add(500, 'internal_error');
  return codes;
}

function whoMay({ auth }: Route): string {
  if (auth === 'public') return 'Needs no key.';
  const roles = ROLES.filter((role) => isAllowed({ role, kind: 'person', scopes: null }, auth));
  return `For ${roles.join(', ')}.${auth === 'decide' ? ' Never for an agent’s key.' : ''}`;
}

/** `GET /api/workflows/:id/executions` → `getWorkflowsIdExecutions`: unique, as method and path are. */
function operationIdOf({ method, path }: Route): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '' && word !== 'api');
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}
