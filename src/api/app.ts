/** The express application: what every request passes, in order, and the routes. */
import express, { type Express } from 'express';
import { registerDocsPage } from './docs/page.js';
import type { ApiDependencies } from './dependencies.js';
import { createErrorHandler } from './error-handler.js';
import { divertUndecodable, registerRoutes } from './register.js';
import { assignRequestId } from './request-id.js';
import type { Route } from './route.js';
import { routes } from './routes.js';
import { setSecurityHeaders } from './security-headers.js';

/** Listens to nothing: `createServer(createApp(deps))` does. */
export function createApp(deps: ApiDependencies, table: readonly Route[] = routes): Express {
  const app = express();
  app.disable('x-powered-by').disable('etag');
  // Paths are compared as they are sent: no other case, no trailing slash, no doubled one reaches a route.
  app.enable('case sensitive routing').enable('strict routing');
  app.use(assignRequestId, setSecurityHeaders, deps.metrics.observeRequests);
  app.use(divertUndecodable(table, deps));
  registerDocsPage(app);
  registerRoutes(app, table, deps);
  app.use(createErrorHandler(deps.log));
  return app;
}
