import { z } from 'zod';
import { publicRoute, reply, route, type Route } from '../route.js';

const Ok = z.object({ ok: z.boolean() });
const ReadinessShape = z.object({
  ready: z.boolean(),
  postgres: Ok,
  temporal: z.object({ ok: z.boolean(), address: z.string(), namespace: z.string(), uiUrl: z.string().optional() }),
  worker: Ok,
});
const tag = 'Health';

export const healthRoutes: readonly Route[] = [
  publicRoute({
    method: 'get',
    path: '/healthz',
    tag,
    summary: 'The process is up',
    responses: { 200: z.object({ ok: z.literal(true), version: z.string() }) },
    handle: async ({ deps }) => reply(200, { ok: true as const, version: deps.version }),
  }),
  publicRoute({
    method: 'get',
    path: '/readyz',
    tag,
    summary: 'Database, Temporal and a worker are there',
    responses: { 200: ReadinessShape, 503: ReadinessShape },
    handle: async ({ deps }) => {
      const readiness = await deps.readiness();
      return readiness.ready ? reply(200, readiness) : reply(503, readiness);
    },
  }),
  route({
    method: 'get',
    path: '/metrics',
    tag,
    summary: 'Metrics of this process for Prometheus',
    auth: 'read',
    produces: 'text/plain; version=0.0.4; charset=utf-8',
    responses: { 200: z.string() },
    handle: async ({ deps }) => reply(200, await deps.metrics.registry.metrics()),
  }),
];
