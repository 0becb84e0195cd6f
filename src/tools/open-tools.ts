/** Every tool of a process, connected to what it works with. */
import type { Database } from '../store/database.js';
import { readSecrets } from '../store/secrets.js';
import { getToolPolicies } from '../store/tool-policies.js';
import { readValueText } from '../store/values.js';
import { workspaceOrigin, workspaceStates } from '../store/workspace-facts.js';
import { createAgentTools, type AgentTools } from './agent/agent-tools.js';
import { createBuiltInTools } from './built-in-tools.js';
import { parseAllowList } from './http/address-rules.js';
import { resolveBySystem } from './http/checked-connections.js';
import type { HttpClient } from './http/send-http.js';
import type { McpServerConfig } from './mcp/mcp-server-config.js';
import { McpSource } from './mcp/mcp-source.js';
import type { Policies, ToolPolicy } from './policy.js';
import { DEFAULT_PATH, type ShellHost } from './shell/shell-host.js';
import type { ShellMode } from './shell/shell-mode.js';
import { createToolbox, type Toolbox } from './toolbox.js';
import { checkOut } from './workspace/check-out.js';
import { Workspaces } from './workspace/workspaces.js';

/** As the environment says; `Config` fits. */
export interface ToolSettings {
  readonly httpAllow: readonly string[];
  readonly skillsDir: string | undefined;
  readonly toolPolicy: ToolPolicy;
  readonly mcpServers: { readonly [name: string]: McpServerConfig };
}
export interface WorkspaceSettings {
  readonly shell: ShellMode;
  readonly dataDir: string;
  readonly httpAllow: readonly string[];
}

export interface OpenTools {
  readonly toolbox: Toolbox;
  readonly agentTools: AgentTools;
  readonly policiesOf: (ownerId: string) => Promise<Policies>;
}

export interface ToolParts {
  readonly db: Database;
  readonly http: HttpClient;
  /** Where this process has workspaces; undefined in a gateway. */
  readonly shell: ShellHost | undefined;
  /** An MCP server that was there, or was expected, is not. */
  readonly onServerAway?: (server: string, reason: string) => void;
}

export function openTools(settings: ToolSettings, parts: ToolParts): OpenTools {
  const { db, http, shell } = parts;
  const builtIn = createBuiltInTools({
    http,
    readValueText: (ownerId, ref) => readValueText(db, ownerId, ref),
    skillsDir: settings.skillsDir,
    shell,
  });
  const sources = Object.entries(settings.mcpServers).map(
    ([name, server]) => new McpSource(name, server, { onAway: (reason) => parts.onServerAway?.(name, reason) }),
  );
  const toolbox = createToolbox(builtIn, sources);
  // Heard of before the first call, and no matter when it is away.
  for (const source of sources) source.tools().catch(() => undefined);
  const policiesOf = async (ownerId: string): Promise<Policies> => ({
    deployment: settings.toolPolicy,
    own: await getToolPolicies(db, ownerId),
  });
  return { toolbox, policiesOf, agentTools: createAgentTools({ toolbox, policiesOf }) };
}

/** How this host runs commands, and the folders in which they run. @param encryptionKey opens the owners' GITHUB_TOKEN */
export function openShellHost({ shell, dataDir, httpAllow }: WorkspaceSettings, db: Database, encryptionKey: Uint8Array): ShellHost {
  const checkOutParts = {
    allow: parseAllowList(httpAllow),
    resolve: resolveBySystem,
    path: DEFAULT_PATH,
    tokenOf: async (ownerId: string) => (await readSecrets(db, encryptionKey, ownerId, ['GITHUB_TOKEN'])).get('GITHUB_TOKEN'),
  };
  const workspaces = new Workspaces({
    dataDir,
    originOf: (id) => workspaceOrigin(db, id),
    statesOf: (ids) => workspaceStates(db, ids),
    checkOut: (origin, folder, signal) => checkOut(checkOutParts, origin, folder, signal),
  });
  return { mode: shell, workspaces };
}
