import { Context } from '@temporalio/activity';
import type { Json } from '../../src/definition/value.js';
import type { ToolRegistry } from '../../src/tools/registry.js';

export interface FloorActivities {
  http(args: { readonly url: string }): Promise<Json>;
}

/** The tool `http:request` itself, with nothing around it. */
export function createFloorActivities(tools: ToolRegistry): FloorActivities {
  const tool = tools.get('http:request');
  if (tool === undefined) throw new Error('http:request is not registered');
  return {
    async http(args) {
      const { activityId, workflowExecution } = Context.current().info;
      return await tool.prepare({ url: args.url }).run({
        idempotencyKey: `${workflowExecution?.workflowId ?? ''}-${activityId}`,
        signal: Context.current().cancellationSignal,
        ownerId: 'floor',
        executionId: 'floor',
        sessionId: 'floor',
        redact: (text) => text,
      });
    },
  };
}
