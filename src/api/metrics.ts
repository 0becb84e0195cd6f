/** What Prometheus reads at `/metrics`: the process, and requests by route (never by path, which would be without bound). */
import type { RequestHandler } from 'express';
import { Registry, collectDefaultMetrics, Counter, Gauge, Histogram } from 'prom-client';

export interface ApiMetrics {
  readonly registry: Registry;
  readonly observeRequests: RequestHandler;
  readonly openStreams: Gauge;
  readonly rateLimited: Counter;
  readonly sockets: Gauge;
  readonly subscriptions: Gauge;
  readonly lagged: Counter;
}

export function createApiMetrics(): ApiMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const duration = new Histogram({
    name: 'signalbox_http_request_seconds',
    help: 'Time from request to answer, by route and status; streams until they end',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  return {
    registry,
    openStreams: new Gauge({ name: 'signalbox_event_streams_open', help: 'Readers of server-sent events now', registers: [registry] }),
    sockets: new Gauge({ name: 'signalbox_sockets_open', help: 'WebSockets now', registers: [registry] }),
    subscriptions: new Gauge({ name: 'signalbox_subscriptions_open', help: 'Subscriptions of WebSockets now', registers: [registry] }),
    lagged: new Counter({
      name: 'signalbox_lagged_total',
      help: 'Subscriptions whose reader was too slow and started over from a snapshot',
      registers: [registry],
    }),
    rateLimited: new Counter({ name: 'signalbox_rate_limited_total', help: 'Requests refused by the rate limit', registers: [registry] }),
    observeRequests: (req, res, next) => {
      const end = duration.startTimer();
      res.once('close', () => {
        const route = typeof res.locals.route === 'string' ? res.locals.route : 'unmatched';
        const method = route === 'unmatched' ? 'any' : req.method;
        end({ method, route, status: res.statusCode });
      });
      next();
    },
  };
}
