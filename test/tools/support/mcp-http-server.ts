/** The same MCP server by streamable HTTP, with sessions, on a port that stays the same when it is stopped and started again. */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Server } from '@modelcontextprotocol/sdk/server/index.js';

const { buildServer } = require('./mcp-program.cjs') as {
  buildServer: (onCall?: (name: string, signal: AbortSignal) => void) => Server;
};

export class McpHttpServer {
  readonly calls: string[] = [];
  /** Calls that their caller gave up. */
  readonly cancelled: string[] = [];
  readonly headers: IncomingMessage['headers'][] = [];
  private sessions = new Map<string, StreamableHTTPServerTransport>();
  private http: HttpServer | undefined;
  private port = 0;

  static async start(): Promise<McpHttpServer> {
    const server = new McpHttpServer();
    await server.start();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/mcp`;
  }

  async start(): Promise<void> {
    const http = createServer((request, response) => void this.answer(request, response));
    await new Promise<void>((resolve) => http.listen(this.port, '127.0.0.1', resolve));
    this.port = (http.address() as AddressInfo).port;
    this.http = http;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sessions.values()].map((transport) => transport.close()));
    this.sessions.clear();
    this.http?.closeAllConnections();
    await new Promise((resolve) => this.http?.close(resolve));
  }

  /** So many of the next requests are answered with what is no JSON. */
  garbled = 0;

  /** As after a restart that clients do not notice: their sessions are unknown. */
  forgetSessions(): void {
    this.sessions.clear();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.headers.push(request.headers);
    if (this.garbled > 0) {
      this.garbled -= 1;
      return void response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc');
    }
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? this.sessions.get(id) : undefined;
    if (typeof id === 'string' && known === undefined) return void response.writeHead(404).end('Session not found');
    await (known ?? (await this.newSession())).handleRequest(request, response);
  }

  private async newSession(): Promise<StreamableHTTPServerTransport> {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (session) => void this.sessions.set(session, transport),
    });
    const server = buildServer((name, signal) => {
      this.calls.push(name);
      signal.addEventListener('abort', () => this.cancelled.push(name));
    });
    await server.connect(transport);
    return transport;
  }
}
