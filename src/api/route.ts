/**
 * A route as data. The one table of routes drives registration, role checks, validation and the OpenAPI document, so
 * that they cannot drift apart.
 */
import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { ApiDependencies } from './dependencies.js';
import type { BrowserLogin } from '../operations/logins.js';
import type { Principal } from '../operations/principal.js';
import type { Action } from '../operations/role-matrix.js';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** What each status answers with; null is an empty body. */
export type Responses = { readonly [status: number]: z.ZodType | null };

/** What the operations give back is not theirs to change. */
type Immutable<T> = T extends readonly (infer E)[]
  ? readonly Immutable<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Immutable<T[K]> }
    : T;

export type Reply<R extends Responses> = {
  [S in keyof R & number]: {
    readonly status: S;
    readonly body: R[S] extends z.ZodType ? Immutable<z.input<R[S]>> : null;
    readonly headers?: { readonly [name: string]: string };
  };
}[keyof R & number];

/** An answer with its status as a literal, so that the table can check it. */
export const reply = <const S extends number, B>(status: S, body: B): { readonly status: S; readonly body: B } => ({ status, body });
/** 204. */
export const noContent = reply(204, null);

/** What a handler is given: everything already checked. */
export interface Call<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly principal: Principal;
  /** What a browser showed instead of a key. */
  readonly login: BrowserLogin | undefined;
  readonly idempotencyKey: string | undefined;
  readonly requestId: string;
  /** Aborted when the caller goes away before the answer. */
  readonly gone: AbortSignal;
  /** How the caller reaches this deployment, such as `https://signalbox.example`. */
  readonly origin: string;
  readonly deps: ApiDependencies;
}
/** A route without a key has no principal. */
export type PublicCall<B = undefined> = Pick<Call<undefined, undefined, B>, 'requestId' | 'deps' | 'origin' | 'body'>;

type Output<S> = S extends z.ZodType ? z.output<S> : undefined;

interface Described {
  readonly method: Method;
  /** Express path with `:name` parameters; each one names a key of `params`. */
  readonly path: string;
  readonly summary: string;
  readonly tag: string;
  readonly description?: string;
  /** Pages of other origins are refused, although nothing that a browser holds is asked for. */
  readonly isForOwnPages?: true;
  /** Further problem codes that the operation may answer, for the document: status → codes. */
  readonly problems?: { readonly [status: number]: readonly string[] };
}

interface Checked<P, Q, B> {
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** The path names what is made: a name that does not fit is a fault (422), where else it is the name of nothing (404). */
  readonly isNamed?: boolean;
  /** Accepts the header `Idempotency-Key`. */
  readonly idempotent?: boolean;
}

/** Registered form: the generics are closed over by `route`. */
export interface Route extends Described, Checked<z.ZodObject | undefined, z.ZodObject | undefined, z.ZodType | undefined> {
  readonly auth: Action | 'public';
  readonly responses: Responses;
  readonly run: (call: Call<unknown, unknown, unknown>) => Promise<AnyReply>;
  /** Answers by itself, for streams and pages. Instead of `run`. */
  readonly stream?: (call: Call<unknown, unknown, unknown>, req: Request, res: Response) => Promise<void>;
  /** Media type of the answer when it is not JSON. */
  readonly produces?: string;
}
export interface AnyReply {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: { readonly [name: string]: string };
}

type Guarded<P, Q, B, R extends Responses> = Described &
  Checked<P, Q, B> & {
    readonly auth: Action;
    readonly responses: R;
    readonly produces?: string;
    readonly handle: (call: Call<Output<P>, Output<Q>, Output<B>>) => Promise<Reply<R>>;
  };

/** A route that needs a key whose role may do `auth`. */
export function route<
  const R extends Responses,
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(definition: Guarded<P, Q, B, R>): Route {
  const { handle, ...rest } = definition;
  return { ...rest, run: (call) => handle(call as Call<Output<P>, Output<Q>, Output<B>>) };
}

/** A route that answers without a key. */
export function publicRoute<const R extends Responses, B extends z.ZodType | undefined = undefined>(
  definition: Described &
    Pick<Checked<undefined, undefined, B>, 'body'> & {
      readonly responses: R;
      readonly produces?: string;
      readonly handle: (call: PublicCall<Output<B>>) => Promise<Reply<R>>;
    },
): Route {
  const { handle, ...rest } = definition;
  return { ...rest, auth: 'public', run: (call) => handle(call as PublicCall<Output<B>>) };
}

/** A route that writes its answer itself, piece by piece, once the call is checked. */
export function streamRoute<P extends z.ZodObject | undefined = undefined, Q extends z.ZodObject | undefined = undefined>(
  definition: Described &
    Checked<P, Q, undefined> & {
      readonly auth: Action;
      readonly produces: string;
      readonly handle: (call: Call<Output<P>, Output<Q>, undefined>, req: Request, res: Response) => Promise<void>;
    },
): Route {
  const { handle, ...rest } = definition;
  return {
    ...rest,
    responses: { 200: null },
    run: () => Promise.reject(new Error(`${definition.path} streams`)),
    stream: (call, req, res) => handle(call as Call<Output<P>, Output<Q>, undefined>, req, res),
  };
}
