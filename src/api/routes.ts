/** Every route of the API, in the order of the document. */
import { documentRoutes } from './documents.js';
import { healthRoutes } from './health/routes.js';
import type { Route } from './route.js';

const described: readonly Route[] = [...healthRoutes];

export const routes: readonly Route[] = [...described, ...documentRoutes(described)];
