export { createToolRegistry, type ToolDescription, type ToolRegistry } from './registry.js';
export { BUILT_IN_TOOL_IDS, createBuiltInTools } from './built-in-tools.js';
export { createHttpRequestTool } from './http/request-tool.js';
export { createHttpClient, sendHttp, type HttpClient } from './http/send-http.js';
export { defineTool, type Risk, type Tool, type ToolCall } from './tool.js';
export { StepFault } from './step-fault.js';
