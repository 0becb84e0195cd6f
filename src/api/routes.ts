/** Every route of the API, in the order of the document. */
import { accountRoutes } from './account/routes.js';
import { approvalRoutes } from './approvals/routes.js';
import { documentRoutes } from './documents.js';
import { executionRoutes } from './executions/routes.js';
import { healthRoutes } from './health/routes.js';
import { keyRoutes } from './keys/routes.js';
import { mcpRoutes } from './mcp/routes.js';
import { personaRoutes } from './personas/routes.js';
import { realtimeRoutes } from './realtime/routes.js';
import type { Route } from './route.js';
import { secretRoutes } from './secrets/routes.js';
import { sessionRoutes } from './sessions/routes.js';
import { slackRoutes } from './slack/routes.js';
import { toolRoutes } from './tools/routes.js';
import { triggerRoutes } from './triggers/routes.js';
import { userRoutes } from './users/routes.js';
import { valueRoutes } from './values/routes.js';
import { webhookRoutes } from './webhooks/routes.js';
import { workflowRoutes } from './workflows/routes.js';

const described: readonly Route[] = [
  ...workflowRoutes,
  ...executionRoutes,
  ...approvalRoutes,
  ...slackRoutes,
  ...triggerRoutes,
  ...webhookRoutes,
  ...sessionRoutes,
  ...realtimeRoutes,
  ...toolRoutes,
  ...mcpRoutes,
  ...personaRoutes,
  ...valueRoutes,
  ...accountRoutes,
  ...keyRoutes,
  ...secretRoutes,
  ...userRoutes,
  ...healthRoutes,
];

export const routes: readonly Route[] = [...described, ...documentRoutes(described)];
