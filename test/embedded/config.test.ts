import { ConfigError, loadConfig, loadServiceConfig } from '../../src/config.js';

const KEY = Buffer.alloc(32, 7).toString('base64');

const faultsOf = (env: NodeJS.ProcessEnv, load: (env: NodeJS.ProcessEnv) => unknown = loadConfig): readonly string[] => {
  try {
    load(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
};

describe('configuration', () => {
  it('has a default for everything when the environment is empty', () => {
    const config = loadConfig({});
    expect(config).toMatchObject({
      role: 'all',
      port: 8080,
      host: '127.0.0.1',
      dataDir: '.signalbox',
      databaseUrl: undefined,
      temporal: { address: undefined, namespace: 'default' },
      limits: { activePerUser: 10, active: 100 },
      rateLimits: { perKey: 12_000, perTrigger: 6_000 },
      shell: 'off',
      signalDecisions: true,
      httpAllow: [],
    });
  });

  it('is frozen to the leaves', () => {
    const config = loadConfig({ SIGNALBOX_HTTP_ALLOW: 'a, b' });
    expect([config, config.temporal, config.httpAllow].every((part) => Object.isFrozen(part))).toBe(true);
  });

  it('takes an empty variable for an absent one', () => {
    expect(loadConfig({ PORT: '', DATABASE_URL: '' }).port).toBe(8080);
  });

  it('lists every fault at once, by name', () => {
    const faults = faultsOf({
      PORT: 'x',
      SIGNALBOX_ROLE: 'boss',
      SIGNALBOX_ENCRYPTION_KEY: 'short',
      SIGNALBOX_TOOL_POLICY: '{',
      TEMPORAL_ADDRESS: 'http://x',
    });
    expect(faults.map((fault) => fault.split(':')[0])).toEqual([
      'PORT',
      'TEMPORAL_ADDRESS',
      'SIGNALBOX_ENCRYPTION_KEY',
      'SIGNALBOX_ROLE',
      'SIGNALBOX_TOOL_POLICY',
    ]);
  });

  it('reads MCP servers of both kinds, and the policy of tools', () => {
    const config = loadConfig({
      SIGNALBOX_MCP_SERVERS: JSON.stringify({
        github: { url: 'https://mcp.example/x', headers: { a: 'b' } },
        notes: { command: 'notes', args: ['-v'] },
      }),
      SIGNALBOX_TOOL_POLICY: JSON.stringify({ medium: 'allow', 'github:*': 'deny', 'notes:createNote': 'approve' }),
    });
    expect(config.mcpServers).toEqual({
      github: { url: 'https://mcp.example/x', headers: { a: 'b' }, timeoutMs: 60_000 },
      notes: { command: 'notes', args: ['-v'], env: {}, timeoutMs: 60_000 },
    });
    expect(config.toolPolicy).toEqual({ medium: 'allow', 'github:*': 'deny', 'notes:createNote': 'approve' });
  });

  it.each([
    ['a built-in provider’s name', { SIGNALBOX_MCP_SERVERS: '{"files":{"command":"x"}}' }],
    ['a name that no id takes', { SIGNALBOX_MCP_SERVERS: '{"My Server":{"command":"x"}}' }],
    ['neither url nor command', { SIGNALBOX_MCP_SERVERS: '{"a":{"cmd":"x"}}' }],
    ['a file as url', { SIGNALBOX_MCP_SERVERS: '{"a":{"url":"file:///x"}}' }],
    ['a limit of days', { SIGNALBOX_MCP_SERVERS: '{"a":{"command":"x","timeoutMs":86400000}}' }],
    ['an unknown risk', { SIGNALBOX_TOOL_POLICY: '{"huge":"deny"}' }],
    ['an unknown setting', { SIGNALBOX_TOOL_POLICY: '{"low":"maybe"}' }],
  ])('refuses %s', (_, env) => {
    expect(faultsOf(env)).toEqual([expect.stringMatching(/^SIGNALBOX_(MCP_SERVERS|TOOL_POLICY)/)]);
  });

  it.each([
    ['off', 'plain', false],
    ['on', 'plain', true],
    [undefined, 'plain', false],
    [undefined, 'bubblewrap', true],
    ['off', 'off', false],
  ])('lets raw signals decide (%s) with shell %s: %s', (decisions, shell, expected) => {
    expect(loadConfig({ SIGNALBOX_SHELL: shell, SIGNALBOX_SIGNAL_DECISIONS: decisions }).signalDecisions).toBe(expected);
  });

  it('requires a key of the user with a database of the user', () => {
    expect(faultsOf({ DATABASE_URL: 'postgresql://u@h/db' })).toEqual([expect.stringContaining('SIGNALBOX_ENCRYPTION_KEY')]);
    expect(loadConfig({ DATABASE_URL: 'postgresql://u@h/db', SIGNALBOX_ENCRYPTION_KEY: KEY }).encryptionKey).toHaveLength(32);
  });

  it.each(['sbx_short', 'sby_aaaaaaaaaaaaaaaaaaaaaaaa', 'sbx_aaaaaaaaaaaaaaaaaaaaaaaa-'])('refuses the bootstrap key %s', (key) => {
    expect(faultsOf({ SIGNALBOX_BOOTSTRAP_KEY: key })).toHaveLength(1);
  });

  it('tells a gateway or worker all that it lacks', () => {
    expect(faultsOf({}, loadServiceConfig).map((fault) => fault.split(':')[0])).toEqual([
      'DATABASE_URL',
      'TEMPORAL_ADDRESS',
      'SIGNALBOX_ENCRYPTION_KEY',
    ]);
  });
});
