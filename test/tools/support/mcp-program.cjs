/** An MCP server for tests; as a program it speaks by its standard streams. Its tools do what their names say. */
const { Server } = require('@modelcontextprotocol/sdk/server/index.js');
const { StdioServerTransport } = require('@modelcontextprotocol/sdk/server/stdio.js');
const { CallToolRequestSchema, ListToolsRequestSchema } = require('@modelcontextprotocol/sdk/types.js');

const schema = { type: 'object', properties: { text: { type: 'string' } } };
const tool = (name, more = {}) => ({ name, description: `does ${name}`, inputSchema: schema, ...more });
const said = (text) => ({ content: [{ type: 'text', text }] });

const TOOLS = [
  tool('echo', { annotations: { readOnlyHint: true } }),
  tool('note', { annotations: { idempotentHint: true } }),
  tool('wipe'),
  tool('big'),
  tool('huge-line'),
  tool('hang'),
  tool('fail'),
  tool('crash'),
  tool('env'),
  tool('picture'),
  tool('structured', { outputSchema: { type: 'object', properties: { n: { type: 'string' } }, required: ['n'] } }),
  tool('odd name'),
  tool('echo'),
  tool('wide', { inputSchema: { type: 'object', description: 'x'.repeat(20_000) } }),
];

const CALLS = {
  echo: ({ text }) => said(String(text)),
  note: () => said('noted'),
  big: () => said('x'.repeat(3 * 1024 * 1024)),
  'huge-line': () => said('x'.repeat(50 * 1024 * 1024)),
  hang: () => new Promise(() => undefined),
  fail: () => ({ ...said('it broke\u0000 here'), isError: true }),
  crash: () => process.exit(3),
  env: () => said(Object.keys(process.env).toSorted().join(' ')),
  picture: () => ({
    content: [
      { type: 'text', text: 'look' },
      { type: 'image', data: 'AAAA', mimeType: 'image/png' },
    ],
  }),
  structured: () => ({ ...said('n is 1'), structuredContent: { n: 1 } }),
};

/** A server with these tools; `onCall` hears of each call. */
function buildServer(onCall = () => undefined) {
  const server = new Server({ name: 'test', version: '1' }, { capabilities: { tools: { listChanged: true } } });
  server.setRequestHandler(ListToolsRequestSchema, ({ params }) =>
    params?.cursor === 'second' ? { tools: TOOLS.slice(5) } : { tools: TOOLS.slice(0, 5), nextCursor: 'second' },
  );
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal }) => {
    onCall(params.name, signal);
    const call = CALLS[params.name];
    if (call === undefined) throw new Error(`no tool ${params.name}`);
    return await call(params.arguments ?? {});
  });
  return server;
}

module.exports = { buildServer };

if (require.main === module) {
  if (process.argv[2] === 'silent') process.stdin.resume();
  else if (process.argv[2] === 'broken') process.exit(1);
  else void buildServer().connect(new StdioServerTransport());
}
