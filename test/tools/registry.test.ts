import { z } from 'zod';
import type { Json } from '../../src/definition/value.js';
import { isHostBound } from '../../src/definition/host-bound.js';
import { createBuiltInTools, createHttpClient, BUILT_IN_TOOL_IDS, LIGHT_TOOL_IDS } from '../../src/tools/index.js';
import { createToolRegistry } from '../../src/tools/registry.js';
import { defineTool } from '../../src/tools/tool.js';

const aTool = (id: string) =>
  defineTool({
    id,
    description: `does ${id}`,
    risk: 'low',
    parameters: z.strictObject({ n: z.number() }),
    repeats: 'read_only',
    light: true,
    limitMs: () => 1,
    run: async ({ n }) => n,
  });

const builtIn = () =>
  createBuiltInTools({
    http: createHttpClient({ allow: [] }),
    readValueText: async () => undefined,
    skillsDir: undefined,
    shell: undefined,
  });

describe('tool registry', () => {
  it('lists tools by id, with JSON Schema of what a caller writes', () => {
    const [http] = builtIn().list({ provider: 'http' });
    expect(http).toMatchObject({
      id: 'http:request',
      provider: 'http',
      action: 'request',
      risk: 'low',
      parameters: { type: 'object', required: ['url'], additionalProperties: false },
    });
  });
  it('knows the ids that definitions are checked by', () => {
    expect(builtIn().ids()).toEqual([...BUILT_IN_TOOL_IDS]);
  });
  it('declares light what reads or is keyed and short, and nothing that is bound to a host', () => {
    const registry = builtIn();
    const light = registry.ids().filter((id) => registry.get(id)?.light);
    expect(light).toEqual([...LIGHT_TOOL_IDS]);
    for (const id of registry.ids()) {
      const tool = registry.get(id);
      expect([id, tool?.queue]).toEqual([id, isHostBound(id) ? 'shell' : 'core']);
      if (tool?.light === true) expect([id, tool.repeats === 'no', tool.queue]).toEqual([id, false, 'core']);
    }
  });
  it('filters by provider and words', () => {
    const tools = createToolRegistry([aTool('b:two'), aTool('a:one')]);
    expect(tools.list().map(({ id }) => id)).toEqual(['a:one', 'b:two']);
    expect(tools.list({ query: 'TWO' }).map(({ id }) => id)).toEqual(['b:two']);
    expect(tools.get('c:three')).toBeUndefined();
  });
  it.each([
    [['a:one', 'a:one'], 'twice'],
    [['one'], 'provider:action'],
    [['A:one'], 'provider:action'],
  ])('refuses %j', (ids, why) => {
    expect(() => createToolRegistry(ids.map(aTool))).toThrow(why);
  });
  it('tells every fault of arguments', () => {
    expect(() => aTool('a:one').prepare({ n: 'x', extra: 1 })).toThrow(/\/n: .*Unrecognized key/);
  });
  it('tells the same of what is only written, with the place and the names that there are', () => {
    const faultsOf = (args: Json) => builtIn().get('http:request')?.argumentFaults?.(args);
    expect(faultsOf({ url: 'http://x', query: { a: [1, 'b'], none: null }, body: { any: [] }, expect: 'any' })).toEqual([]);
    expect(faultsOf(null)).toEqual([{ code: 'missing_field', path: ['url'], message: 'url is missing' }]);
    expect(faultsOf({ url: 5, method: 'G E T', headers: { a: {} }, uri: 'x' })).toEqual([
      expect.objectContaining({ code: 'invalid_field', path: ['url'] }),
      expect.objectContaining({ code: 'invalid_field', path: ['method'] }),
      expect.objectContaining({ code: 'invalid_field', path: ['headers', 'a'] }),
      {
        code: 'unknown_field',
        path: ['uri'],
        message: 'There is no argument uri',
        known: ['url', 'method', 'headers', 'query', 'body', 'timeoutMs', 'expect'],
      },
    ]);
  });
});
