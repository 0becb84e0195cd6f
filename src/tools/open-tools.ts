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

/** @param shell where this process has workspaces; undefined in a gateway */
export function openTools(
  settings: ToolSettings,
  parts: { readonly db: Database; readonly http: HttpClient; readonly shell: ShellHost | undefined },
): OpenTools {
  const { db, http, shell } = parts;
  const builtIn = createBuiltInTools({
    http,
    readValueText: (ownerId, ref) => readValueText(db, ownerId, ref),
    skillsDir: settings.skillsDir,
    shell,
  });
  const toolbox = createToolbox(builtIn);
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
