import { ErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js';
import { StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Json, JsonObject } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';
import type { Tool, ToolCall } from '../tool.js';
import type { ToolSource } from '../toolbox.js';
import { toOutput } from './call-result.js';
import { connectMcp, type McpConnection } from './mcp-connection.js';
import type { McpServerConfig } from './mcp-server-config.js';
import { toTools } from './mcp-tools.js';

const CONNECTION_CLOSED: number = ErrorCode.ConnectionClosed;
const REQUEST_TIMEOUT: number = ErrorCode.RequestTimeout;
/** How long a list of tools counts when the server does not say that it has changed. */
const FRESH_MS = 60_000;
/** A server that is away is not asked again at once, however many calls come. */
const LEAVE_ALONE_MS = 2_000;
/** Connecting, beside the call itself. */
const CONNECT_MS = 10_000;

/** The tools of one MCP server. It may come and go: whatever is asked of it meanwhile fails with a reason, and later works again. */
export class McpSource implements ToolSource {
  private connection: Promise<McpConnection> | undefined;
  private listing: Promise<readonly Tool[]> | undefined;
  private last: { readonly at: number; readonly tools: readonly Tool[] } = { at: 0, tools: [] };
  private away: { readonly at: number; readonly fault: StepFault } | undefined;
  private isClosed = false;

  constructor(
    readonly provider: string,
    private readonly server: McpServerConfig,
    private readonly options: { readonly onAway?: (reason: string) => void; readonly connectMs?: number } = {},
  ) {}

  known(): readonly Tool[] {
    return this.last.tools;
  }

  async tools(): Promise<readonly Tool[]> {
    if (this.connection !== undefined && Date.now() - this.last.at < FRESH_MS) return this.last.tools;
    this.listing ??= this.refresh().finally(() => {
      this.listing = undefined;
    });
    return await this.listing;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const connection = await this.connection?.catch(() => undefined);
    this.connection = undefined;
    await connection?.close();
  }

  private async refresh(): Promise<readonly Tool[]> {
    const connection = await this.connected();
    try {
      const limitMs = this.server.timeoutMs + CONNECT_MS;
      const tools = toTools(this.provider, await connection.list(), limitMs, (id, name, args, call) => this.call(id, name, args, call));
      this.last = { at: Date.now(), tools };
      return tools;
    } catch (error) {
      throw this.lost(error);
    }
  }

  private async call(id: string, name: string, args: JsonObject, call: ToolCall): Promise<Json> {
    for (let tried = 1; ; tried += 1) {
      const connection = await this.connected();
      try {
        return toOutput(id, await connection.call(name, args, { signal: call.signal, timeoutMs: this.server.timeoutMs }));
      } catch (error) {
        if (call.signal.aborted || error instanceof StepFault) throw error;
        // The server has forgotten the session and so has not looked at the call: the protocol says to begin a new one.
        if (isForgotten(error) && tried === 1) await this.drop(connection);
        else throw this.callFault(id, error);
      }
    }
  }

  private callFault(id: string, error: unknown): StepFault {
    // The server is there; what it said to this call is nothing.
    if (isUnreadable(error)) return new StepFault('tool_failed', `${id} gave an answer that cannot be read: ${reasonOf(error)}`);
    if (!(error instanceof McpError)) return this.lost(error);
    if (error.code === CONNECTION_CLOSED) return this.lost(error);
    if (error.code === REQUEST_TIMEOUT)
      return new StepFault('tool_failed', `${id} did not answer within ${this.server.timeoutMs} ms`, { retryable: true });
    return new StepFault('tool_failed', `${id}: ${error.message.slice(0, 2_000)}`, { details: { mcpCode: error.code } });
  }

  /** One connection for all, made when first needed and again after it was lost. */
  private async connected(): Promise<McpConnection> {
    if (this.isClosed) throw new StepFault('tool_failed', `MCP server ${this.provider} is being disconnected`, { retryable: true });
    if (this.away !== undefined && this.isLeftAlone()) throw this.away.fault;
    this.connection ??= this.connect();
    return await this.connection;
  }

  private connect(): Promise<McpConnection> {
    const connecting = connectMcp(this.server, this.options.connectMs ?? CONNECT_MS, {
      onToolsChanged: () => {
        this.last = { ...this.last, at: 0 };
      },
      onClosed: () => {
        if (this.connection === made) this.connection = undefined;
      },
    });
    const made = connecting.then(
      (connection) => {
        this.away = undefined;
        return connection;
      },
      (error: unknown) => {
        this.connection = undefined;
        throw this.lost(error);
      },
    );
    return made;
  }

  /** The server is away: said in one voice, and the next call begins anew. */
  private lost(error: unknown): StepFault {
    if (error instanceof StepFault) return error;
    // Calls that go under with it tell less than the one that met it.
    if (this.away !== undefined && this.isLeftAlone()) return this.away.fault;
    const reason = reasonOf(error);
    const fault = new StepFault('tool_failed', `MCP server ${this.provider} cannot be reached: ${reason}`, {
      retryable: true,
      details: { server: this.provider },
      cause: error,
    });
    if (this.away === undefined) this.options.onAway?.(reason);
    this.away = { at: Date.now(), fault };
    const connection = this.connection;
    this.connection = undefined;
    this.closeLater(connection);
    return fault;
  }

  /** Over HTTP each call is a request of its own: those under way may still be answered. */
  private closeLater(connection: Promise<McpConnection> | undefined): void {
    if (connection === undefined) return;
    if ('url' in this.server) setTimeout(() => void closeOld(connection), this.server.timeoutMs).unref();
    else void closeOld(connection);
  }

  private isLeftAlone(): boolean {
    return this.away !== undefined && Date.now() - this.away.at < LEAVE_ALONE_MS;
  }

  private async drop(connection: McpConnection): Promise<void> {
    this.connection = undefined;
    await connection.close().catch(() => undefined);
  }
}

async function closeOld(connection: Promise<McpConnection> | undefined): Promise<void> {
  await (await connection?.catch(() => undefined))?.close().catch(() => undefined);
}

const isUnreadable = (error: unknown): boolean => (error as { readonly name?: unknown }).name === 'SyntaxError';
const isForgotten = (error: unknown): boolean => error instanceof StreamableHTTPError && error.code === 404;

/** Short, and without what a server's page may hold. */
function reasonOf(error: unknown): string {
  const { message, cause, code } = error as {
    readonly message?: string;
    readonly cause?: { readonly code?: string };
    readonly code?: unknown;
  };
  const under = cause?.code ?? (typeof code === 'string' ? code : undefined);
  return (
    [under, message?.split('\n')[0]?.slice(0, 200)].filter((part) => part !== undefined && part !== '').join(': ') || 'no reason given'
  );
}
