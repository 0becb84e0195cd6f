import { loadConfig } from '../../src/config.js';
import { createBuiltInTools, createHttpClient, LIGHT_TOOL_IDS } from '../../src/tools/index.js';
import { blocksOf, readDocument, sectionOf } from './readme-blocks.js';

const PAGE = readDocument('docs/tools.md');
const registry = createBuiltInTools({
  http: createHttpClient({ allow: [] }),
  readValueText: async () => undefined,
  skillsDir: undefined,
  shell: undefined,
});

/** Rows of the table of tools: the ids that a row names, and its cells. */
const rows = [...PAGE.matchAll(/^\| ((?:`[a-z]+:[a-z]+`(?:, )?)+) \|(.*)\|$/gm)].map(([, ids = '', cells = '']) => ({
  ids: [...ids.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''),
  parameters: cells.split('|')[0] ?? '',
  light: (cells.split('|').at(-1) ?? '').trim(),
}));

describe('docs/tools.md', () => {
  it('has every built-in tool and no other, says which are light, and names what they take', () => {
    expect(rows.flatMap(({ ids }) => ids).toSorted((a, b) => a.localeCompare(b))).toEqual(registry.ids());
    for (const { ids, parameters, light } of rows) {
      for (const id of ids) expect([id, light]).toEqual([id, LIGHT_TOOL_IDS.includes(id) ? 'yes' : 'no']);
      if (ids[0] === 'http:request') continue;
      const known = ids.flatMap((id) => Object.keys((registry.get(id)?.parameters['properties'] ?? {}) as object));
      const told = [...parameters.matchAll(/`([a-zA-Z]+)`/g)].map((match) => match[1]);
      expect([ids, new Set(told)]).toEqual([ids, new Set(known)]);
    }
  });

  it('shows settings that the service takes', () => {
    const [servers] = blocksOf(sectionOf(PAGE, 'MCP'), 'json');
    const policy = /SIGNALBOX_TOOL_POLICY='([^']+)'/.exec(blocksOf(sectionOf(PAGE, 'Policy'), 'sh')[0] ?? '')?.[1];
    const config = loadConfig({ SIGNALBOX_MCP_SERVERS: servers, SIGNALBOX_TOOL_POLICY: policy });
    expect(Object.keys(config.mcpServers)).toEqual(['github', 'notes']);
    expect(Object.keys(config.toolPolicy)).toContain('shell:bash');
  });
});
