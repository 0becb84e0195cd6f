import { createHttpRequestTool } from './http/request-tool.js';
import type { HttpClient } from './http/send-http.js';
import { createToolRegistry, type ToolRegistry } from './registry.js';

/** Ids of the built-in tools, for those who check definitions without a network. */
export const BUILT_IN_TOOL_IDS = ['http:request'] as const;

/** The registry of every built-in tool. */
export const createBuiltInTools = (http: HttpClient): ToolRegistry => createToolRegistry([createHttpRequestTool(http)]);
