/** A value that fits a JSON Schema, as plain as can be. Pure; no promise for patterns and exotic keywords. */

interface Schema {
  readonly [keyword: string]: unknown;
}
const MAX_DEPTH = 12;

export function exampleOfSchema(schema: unknown): unknown {
  return exampleOf(schema, schema, 0);
}

function exampleOf(part: unknown, root: unknown, depth: number): unknown {
  if (typeof part !== 'object' || part === null || depth > MAX_DEPTH) return 'demo';
  const schema = part as Schema;
  for (const keyword of ['const', 'default']) if (keyword in schema) return schema[keyword];
  for (const keyword of ['enum', 'examples']) if (isList(schema[keyword])) return (schema[keyword] as unknown[])[0];
  if (typeof schema['$ref'] === 'string') return exampleOf(resolve(schema['$ref'], root), root, depth + 1);
  for (const keyword of ['oneOf', 'anyOf'])
    if (isList(schema[keyword])) return exampleOf((schema[keyword] as unknown[])[0], root, depth + 1);
  if (isList(schema['allOf'])) return exampleOf(merged(schema['allOf'] as Schema[]), root, depth + 1);
  return exampleOfType(schema, root, depth);
}

const isList = (value: unknown): boolean => Array.isArray(value) && value.length > 0;
const merged = (parts: readonly Schema[]): Schema => {
  const properties = Object.assign({}, ...parts.map((part) => part['properties'] ?? {})) as object;
  return { ...(Object.assign({}, ...parts) as Schema), ...(Object.keys(properties).length === 0 ? {} : { properties }) };
};

function resolve(ref: string, root: unknown): unknown {
  if (!ref.startsWith('#')) return undefined;
  const path = ref
    .slice(1)
    .split('/')
    .filter((token) => token !== '');
  return path.reduce<unknown>((at, token) => (at as Schema | undefined)?.[token.replaceAll('~1', '/').replaceAll('~0', '~')], root);
}

function exampleOfType(schema: Schema, root: unknown, depth: number): unknown {
  switch (typeOf(schema)) {
    case 'object': {
      const properties = (schema['properties'] ?? {}) as Schema;
      const required = (Array.isArray(schema['required']) ? schema['required'] : []) as string[];
      const names = [...new Set([...Object.keys(properties), ...required])];
      return Object.fromEntries(names.map((name) => [name, exampleOf(properties[name] ?? {}, root, depth + 1)]));
    }
    case 'array': {
      const item = schema['items'] ?? (schema['prefixItems'] as unknown[] | undefined)?.[0] ?? {};
      return Array.from({ length: Math.max(1, Number(schema['minItems'] ?? 1)) }, () => exampleOf(item, root, depth + 1));
    }
    case 'boolean':
      return true;
    case 'null':
      return null;
    case 'integer':
    case 'number':
      return exampleNumber(schema);
    default:
      return exampleText(schema);
  }
}

function typeOf(schema: Schema): unknown {
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type'];
  if (type !== undefined) return type;
  if ('properties' in schema) return 'object';
  return 'items' in schema ? 'array' : 'string';
}

function exampleNumber(schema: Schema): number {
  const least = Number(schema['minimum'] ?? Number(schema['exclusiveMinimum'] ?? -1) + 1);
  const step = Number(schema['multipleOf'] ?? 1);
  return Math.min(Math.ceil(least / step) * step, Number(schema['maximum'] ?? Infinity));
}

const FORMATS: { readonly [format: string]: string } = {
  date: '2026-01-01',
  'date-time': '2026-01-01T00:00:00Z',
  email: 'demo@example.com',
  uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000',
};

function exampleText(schema: Schema): string {
  const { format } = schema;
  const text = (typeof format === 'string' ? FORMATS[format] : undefined) ?? 'demo';
  return text.padEnd(Number(schema['minLength'] ?? 0), '.').slice(0, Number(schema['maxLength'] ?? Infinity));
}
