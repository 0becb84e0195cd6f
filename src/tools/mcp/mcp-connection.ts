import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ToolListChangedNotificationSchema, type CallToolResult, type Tool as McpTool } from '@modelcontextprotocol/sdk/types.js';
import type { JsonObject } from '../../definition/value.js';
import { limitedFetch, MAX_ANSWER_BYTES } from './limited-fetch.js';
import type { McpHttpServer, McpServerConfig } from './mcp-server-config.js';

const LIST_MS = 10_000;
/** Of the codes that the protocol leaves to us. */
const TOO_LARGE = -32_098;
const MAX_TOOLS = 500;

/** A session with an MCP server. */
export interface McpConnection {
  /** All pages, 500 tools at most. */
  list(): Promise<readonly McpTool[]>;
  call(name: string, args: JsonObject, options: { readonly signal: AbortSignal; readonly timeoutMs: number }): Promise<CallToolResult>;
  close(): Promise<void>;
}

export interface McpListener {
  onToolsChanged(): void;
  onClosed(): void;
}

/** Starts or reaches the server and says hello. @throws whatever keeps it from answering in time */
export async function connectMcp(server: McpServerConfig, limitMs: number, listener: McpListener): Promise<McpConnection> {
  const client = new Client(
    { name: 'signalbox', version: '1' },
    // What a server says of its own answers is not checked: they are data, whatever their shape.
    { jsonSchemaValidator: { getValidator: () => (input) => ({ valid: true, data: input as never, errorMessage: undefined }) } },
  );
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => listener.onToolsChanged());
  // The SDK's client is no event target.
  Object.assign(client, { onclose: () => listener.onClosed(), onerror: () => undefined });
  const transport = transportTo(server);
  try {
    await client.connect(transport, { timeout: limitMs });
  } catch (error) {
    void client.close().catch(() => undefined);
    throw error;
  }
  return {
    list: () => listTools(client),
    call: async (name, args, { signal, timeoutMs }) =>
      (await client.callTool({ name, arguments: args }, undefined, {
        signal,
        timeout: timeoutMs,
        maxTotalTimeout: timeoutMs,
      })) as CallToolResult,
    close: () => client.close(),
  };
}

function transportTo(server: McpServerConfig): Transport {
  if ('url' in server) return httpTransport(server);
  const { command, args, env, cwd } = server;
  return new StdioClientTransport({ command, args: [...args], env: { ...env }, stderr: 'ignore', ...(cwd === undefined ? {} : { cwd }) });
}

/** An answer that is too large fails its own call, as if the server had said so; other calls go on. */
function httpTransport({ url, headers }: McpHttpServer): Transport {
  const transport: Transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { ...headers } },
    fetch: limitedFetch((id) => {
      if (id !== undefined)
        transport.onmessage?.({
          jsonrpc: '2.0',
          id,
          error: { code: TOO_LARGE, message: `The answer is larger than ${MAX_ANSWER_BYTES} bytes` },
        });
    }),
    reconnectionOptions: { initialReconnectionDelay: 1_000, maxReconnectionDelay: 30_000, reconnectionDelayGrowFactor: 2, maxRetries: 2 },
  });
  return transport;
}

async function listTools(client: Client): Promise<readonly McpTool[]> {
  const tools: McpTool[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.listTools(cursor === undefined ? {} : { cursor }, { timeout: LIST_MS, maxTotalTimeout: LIST_MS });
    tools.push(...page.tools);
    // A server that gives the same cursor for ever must not be asked for ever.
    cursor = page.nextCursor === cursor || page.tools.length === 0 ? undefined : page.nextCursor;
  } while (cursor !== undefined && tools.length < MAX_TOOLS);
  return tools.slice(0, MAX_TOOLS);
}
