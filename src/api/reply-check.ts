/** Answers against their schemas: on in tests, so that documents and answers cannot drift apart unseen. */
import type { AnyReply, Route } from './route.js';

/** @throws Error that names route, status and every difference */
export function checkReply(route: Route, reply: AnyReply): void {
  const where = `${route.method.toUpperCase()} ${route.path} → ${reply.status}`;
  const schema = route.responses[reply.status];
  if (schema === undefined) throw new Error(`${where} is not in the table`);
  if (schema === null || route.produces !== undefined) return;
  // As the caller sees it: dates are text, undefined fields are gone.
  const result = schema.safeParse(JSON.parse(JSON.stringify(reply.body)));
  if (result.success) return;
  const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  throw new Error(`${where} answers what its schema does not allow: ${faults}`);
}
