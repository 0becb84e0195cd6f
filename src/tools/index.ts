export {
  type AgentScope,
  type AgentTools,
  type CallContext,
  type PlannedCall,
  type ToolResult,
} from './agent/agent-tools.js';
export { toModelResult, type ModelResult } from './agent/model-result.js';
export type { ModelTool } from './agent/model-tools.js';
export { deniedResult, outcomeUnknown } from './agent/person-results.js';
export type { ModelCall, ToolRequest } from './agent/read-call.js';
export type { ToolError } from './agent/tool-error.js';
export { BUILT_IN_TOOL_IDS, createBuiltInTools, LIGHT_TOOL_IDS } from './built-in-tools.js';
export { createDirectTools, type DirectResult, type DirectTools } from './direct-call.js';
export { createHttpRequestTool } from './http/request-tool.js';
export { createHttpClient, type HttpClient } from './http/send-http.js';
export { openShellHost, openTools, type OpenTools } from './open-tools.js';
export type { Policies, ToolPolicy } from './policy.js';
export type { ToolRegistry } from './registry.js';
export type { ShellHost } from './shell/shell-host.js';
export type { ToolCall } from './tool.js';
export type { Toolbox } from './toolbox.js';
export { startWorkspaceSweeper } from './workspace/sweeper.js';
