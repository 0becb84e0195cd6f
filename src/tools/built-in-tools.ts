import { createFilesTools } from './files/files-tools.js';
import { createHttpRequestTool } from './http/request-tool.js';
import type { HttpClient } from './http/send-http.js';
import { createToolRegistry, type ToolRegistry } from './registry.js';
import { createBashTool } from './shell/bash-tool.js';
import type { ShellHost } from './shell/shell-host.js';
import { SkillLibrary } from './skills/skill-library.js';
import { createSkillsTools } from './skills/skills-tools.js';
import { createReadValueTool, type ReadValueText } from './values/read-value-tool.js';

/** Ids of the built-in tools, for those who check definitions without a network. */
export const BUILT_IN_TOOL_IDS = [
  'files:edit',
  'files:grep',
  'files:list',
  'files:read',
  'files:write',
  'http:request',
  'shell:bash',
  'skills:list',
  'skills:read',
  'values:read',
] as const;

/** Those that may run inside a segment (durability §6). */
export const LIGHT_TOOL_IDS: readonly string[] = ['http:request', 'skills:list', 'skills:read', 'values:read'];

export interface BuiltInToolParts {
  readonly http: HttpClient;
  readonly readValueText: ReadValueText;
  /** `SIGNALBOX_SKILLS_DIR`. */
  readonly skillsDir: string | undefined;
  /** Workspaces and how commands run in them; undefined in a process that has neither, as the gateway. */
  readonly shell: ShellHost | undefined;
}

/** The registry of every built-in tool. */
export const createBuiltInTools = ({ http, readValueText, skillsDir, shell }: BuiltInToolParts): ToolRegistry =>
  createToolRegistry([
    createHttpRequestTool(http),
    createReadValueTool(readValueText),
    ...createSkillsTools(new SkillLibrary(skillsDir)),
    ...createFilesTools(shell?.workspaces),
    createBashTool(shell),
  ]);
