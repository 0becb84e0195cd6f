/** The table of routes as express handlers. What the table does not name does not exist. */
import type { Express, NextFunction, Request, Response } from 'express';
import { AppError } from '../errors.js';
import { authorize } from '../operations/authorize.js';
import type { Principal } from '../operations/principal.js';
import { authenticate, refuseForeign, type AuthenticatedCaller } from './authenticate.js';
import type { ApiDependencies } from './dependencies.js';
import { discardBody } from './body.js';
import { checkReply } from './reply-check.js';
import { checkRequest } from './request-check.js';
import { requestIdOf } from './request-id.js';
import type { AnyReply, Call, Route } from './route.js';

/** Registers every route, then the fallback that tells a wrong method from an unknown path. */
export function registerRoutes(app: Express, routes: readonly Route[], deps: ApiDependencies): void {
  // Fixed paths first: `/api/workflows/sync` is no workflow of that name.
  const specificFirst = routes.toSorted((a, b) => parameterCount(a.path) - parameterCount(b.path));
  for (const route of specificFirst) {
    app[route.method](route.path, (req, res) => answer(route, deps, req, res));
  }
  app.use((req) => refuse(routes, deps, req));
}

const parameterCount = (path: string): number => path.split('/:').length - 1;

async function answer(route: Route, deps: ApiDependencies, req: Request, res: Response): Promise<void> {
  res.locals.route = route.path;
  if (route.isForOwnPages === true) refuseForeign(req);
  const caller = route.auth === 'public' ? undefined : await admit(route, deps, req);
  const checked = await checkRequest(route, req, res).catch((error: unknown) => {
    // Who is an agent is told so before what it says is looked at.
    if (route.auth === 'decide' && caller !== undefined) authorize(caller.principal, 'decide');
    throw error;
  });
  const requestId = requestIdOf(res.locals);
  const call = {
    ...checked,
    // A route without a key has none.
    principal: (caller === undefined ? undefined : { ...caller.principal, requestId }) as Principal,
    login: caller?.login,
    requestId,
    gone: goneSignal(res),
    origin: originOf(req),
    deps,
  } satisfies Call<unknown, unknown, unknown>;
  if (route.stream !== undefined) return answerStream(route, call, req, res);
  const reply = await route.run(call);
  if (deps.checkReplies) checkReply(route, reply);
  writeReply(route, req, res, reply);
}

function goneSignal(res: Response): AbortSignal {
  const controller = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) controller.abort(new Error('The caller went away'));
  });
  return controller.signal;
}

/** By its own word, or its proxy's: it is used in answers to that caller alone. */
function originOf(req: Request): string {
  const protocol = req.get('x-forwarded-proto')?.split(',')[0]?.trim() === 'https' ? 'https' : req.protocol;
  return `${protocol}://${req.get('host') ?? 'localhost'}`;
}

/** A HEAD has nothing to wait for where a stream is asked for. */
async function answerStream(route: Route, call: Call<unknown, unknown, unknown>, req: Request, res: Response): Promise<void> {
  if (req.method === 'HEAD' && route.produces !== undefined) res.writeHead(200, { 'Content-Type': route.produces ?? 'text/plain' }).end();
  else await route.stream?.(call, req, res);
}

async function admit(route: Route, deps: ApiDependencies, req: Request): Promise<AuthenticatedCaller> {
  const caller = await authenticate(req, deps.gatekeepers);
  const { principal } = caller;
  // Deciding refuses agents itself: their tries are written down with the gate.
  if (route.auth === 'decide' && principal.kind === 'agent') return caller;
  authorize(principal, route.auth as Exclude<Route['auth'], 'public'>);
  return caller;
}

function writeReply(route: Route, req: Request, res: Response, reply: AnyReply): void {
  for (const [name, value] of Object.entries(reply.headers ?? {})) res.setHeader(name, value);
  if (reply.body === null) {
    res.writeHead(reply.status).end();
  } else {
    const text = typeof reply.body === 'string' && route.produces !== undefined ? reply.body : JSON.stringify(reply.body);
    res.writeHead(reply.status, {
      'Content-Type': route.produces ?? 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(text),
    });
    res.end(text);
  }
  discardBody(req);
}

/** No key: 401, whatever the path. Then 400 for a malformed path, 405 for a known one, 404. */
async function refuse(routes: readonly Route[], deps: ApiDependencies, req: Request): Promise<never> {
  const matching = routes.filter((route) => matches(route.path, req.path));
  if (!matching.some((route) => route.auth === 'public')) await authenticate(req, deps.gatekeepers);
  if (!isDecodable(req.path)) throw new AppError('bad_request', 'The path is not valid percent-encoded UTF-8', {});
  if (matching.length === 0)
    throw new AppError('not_found', `There is nothing at ${req.path.slice(0, 200)}`, { kind: 'path', id: req.path.slice(0, 200) });
  const allow = allowedOf(matching);
  throw new AppError('method_not_allowed', `${req.path.slice(0, 200)} takes ${allow.join(', ')}, not ${req.method}`, { allow });
}

function allowedOf(routes: readonly Route[]): string[] {
  const methods = new Set(routes.map((route) => route.method.toUpperCase()));
  if (methods.has('GET')) methods.add('HEAD');
  return [...methods].toSorted();
}

/** Whether a raw path is one of a pattern's, segment by segment. Pure. */
function matches(pattern: string, path: string): boolean {
  const segments = path.split('/');
  const expected = pattern.split('/');
  return (
    expected.length === segments.length && expected.every((part, i) => (part.startsWith(':') ? segments[i] !== '' : part === segments[i]))
  );
}

/** Whether a path can be decoded: the router would throw before anybody asked for a key. Pure. */
export function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

/** Keeps undecodable paths from the router. */
export function divertUndecodable(routes: readonly Route[], deps: ApiDependencies) {
  return async (req: Request, _res: Response, next: NextFunction): Promise<void> => {
    if (isDecodable(req.path)) next();
    else await refuse(routes, deps, req);
  };
}
