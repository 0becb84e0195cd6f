import { spawnSync } from 'node:child_process';
import { toOpenApi } from '../../src/api/openapi.js';
import { routes } from '../../src/api/routes.js';

interface Operation {
  readonly operationId: string;
  readonly security?: readonly object[];
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly responses: { readonly [status: string]: unknown };
}
const document = toOpenApi(routes, '1.2.3') as {
  readonly openapi: string;
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } };
  readonly components: { readonly schemas: { readonly [id: string]: unknown } };
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

describe('the OpenAPI document', () => {
  it('is valid OpenAPI 3.1', () => {
    expect(validated(document)).toEqual({ valid: true, version: '3.1' });
  });

  it('has one operation for each route, under an id of its own', () => {
    expect(operations).toHaveLength(routes.length);
    expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(routes.length);
  });

  it('declares every path parameter', () => {
    for (const { path, operation } of operations) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      expect({
        path,
        declared: operation.parameters
          .filter((parameter) => parameter.in === 'path' && parameter.required)
          .map((parameter) => parameter.name),
      }).toEqual({ path, declared: named });
    }
  });

  it('resolves every reference and uses every component', () => {
    const references = new Set([...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]));
    expect(references).toEqual(new Set(Object.keys(document.components.schemas)));
  });

  it('holds what api.md names', () => {
    expect(Object.keys(document.components.schemas)).toEqual(
      expect.arrayContaining(['Workflow', 'Execution', 'Step', 'Event', 'Approval', 'Problem', 'ProblemDocument', 'Error']),
    );
  });

  it('says 401 and 403 of everything that needs a key, and of nothing else', () => {
    for (const { path, operation } of operations) {
      const isPublic = operation.security?.length === 0;
      // Signatures are checked instead of keys; who logs in shows a key in the body.
      const isSigned = path.startsWith('/slack/') || path.startsWith('/webhooks/');
      const isLogin = path === '/api/login';
      expect({ path, refuses: ['401', '403'].map((status) => status in operation.responses) }).toEqual({
        path,
        refuses: [!isPublic || isSigned || isLogin, !isPublic || isLogin],
      });
    }
  });

  it('keeps out zod’s patterns beside formats and its bounds of safe integers', () => {
    expect(JSON.stringify(document)).not.toMatch(/9007199254740991|"\$schema"|"\$id"/);
  });
});

/** In a process of its own: the validator is an ES module, which jest does not load. */
function validated(value: unknown): unknown {
  const script = `
    import { Validator } from '@seriousme/openapi-schema-validator';
    let text = '';
    for await (const chunk of process.stdin) text += chunk;
    const validator = new Validator();
    const { valid, errors } = await validator.validate(JSON.parse(text));
    console.log(JSON.stringify({ valid, errors, version: validator.version }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    input: JSON.stringify(value),
    encoding: 'utf8',
  });
  return stdout === '' ? stderr : JSON.parse(stdout);
}
