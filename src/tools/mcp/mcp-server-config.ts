/** One server of `SIGNALBOX_MCP_SERVERS`. */
export type McpServerConfig = McpHttpServer | McpProgram;

/** Reached by streamable HTTP. Named by the operator, so it may also be inside the network. */
export interface McpHttpServer {
  readonly url: string;
  readonly headers: { readonly [name: string]: string };
  /** For one call. */
  readonly timeoutMs: number;
}

/** Started as a child process of each worker and gateway, spoken to by its standard streams. */
export interface McpProgram {
  readonly command: string;
  readonly args: readonly string[];
  /** Beside PATH, HOME and the like: nothing else of the service's environment is passed on. */
  readonly env: { readonly [name: string]: string };
  readonly cwd?: string | undefined;
  readonly timeoutMs: number;
}
