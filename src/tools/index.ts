export { BUILT_IN_TOOL_IDS, createBuiltInTools } from './built-in-tools.js';
export { createHttpRequestTool } from './http/request-tool.js';
export { createHttpClient, type HttpClient } from './http/send-http.js';
export type { ToolRegistry } from './registry.js';
export type { ToolCall } from './tool.js';
