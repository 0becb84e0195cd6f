/** `/mcp`: the registry by the Model Context Protocol, streamable HTTP without sessions. */
import type { Request, Response } from 'express';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { readJsonBody } from '../body.js';
import { streamRoute, type Route } from '../route.js';
import { createMcpServer } from './mcp-server.js';

export const mcpRoutes: readonly Route[] = [
  streamRoute({
    method: 'post',
    path: '/mcp',
    tag: 'Tools',
    summary: 'The same tools by the Model Context Protocol',
    description:
      'Streamable HTTP, without sessions: JSON-RPC in, JSON out. Calls count as an agent’s, whoever’s key it is. Calling needs a role that may run.',
    auth: 'read',
    produces: 'application/json',
    handle: async ({ deps, principal, requestId }, req, res) => {
      const gone = new AbortController();
      res.once('close', () => gone.abort(new Error('the caller went away')));
      const server = createMcpServer({
        tools: deps.tools,
        principal: { ...principal, kind: 'agent' },
        version: deps.version,
        requestId,
        signal: gone.signal,
        onFault: (error) => deps.log.error({ requestId, error }, 'a tool call over MCP failed'),
      });
      const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
      try {
        await server.connect(transport);
        await answer(transport, req, res);
      } finally {
        res.once('close', () => void server.close());
        if (res.closed) await server.close();
      }
    },
  }),
];

async function answer(transport: StreamableHTTPServerTransport, req: Request, res: Response): Promise<void> {
  const body = await readJsonBody(req, res);
  await transport.handleRequest(req, res, body ?? {});
}
