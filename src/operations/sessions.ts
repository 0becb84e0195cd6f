/** Chat sessions: every person's own, the orchestrator first; it is made with its user. */
import { notFound } from '../errors.js';
import { listMessages as listMessageRows } from '../store/messages.js';
import type { Page, PageRequest } from '../store/page.js';
import {
  createChatSession,
  getSession as getRow,
  listSessions as listRows,
  type SessionKind,
  type SessionRecord,
} from '../store/sessions.js';
import { audit } from './actor.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { toWireMessage, toWireSession, type WireMessage, type WireSession } from './wire-session.js';

interface ById {
  /** The session's. */
  readonly id: string;
}

const DEFAULT_TITLE = 'New chat';

/** The row of one of the caller's sessions. @throws AppError not_found */
export async function ownSession(deps: OperationDeps, principal: Principal, id: string): Promise<SessionRecord> {
  const row = await getRow(deps.db, principal.userId, id);
  if (row === undefined) throw notFound('session', id);
  return row;
}

/** The orchestrator first, then newest first. */
export async function listSessions(
  deps: OperationDeps,
  principal: Principal,
  params: PageRequest & { readonly kind?: SessionKind },
): Promise<Page<WireSession>> {
  authorize(principal, 'read');
  const page = await listRows(deps.db, principal.userId, params);
  return { ...page, items: page.items.map(toWireSession) };
}

/** A free chat. */
export async function createSession(
  deps: OperationDeps,
  principal: Principal,
  { title = DEFAULT_TITLE }: { readonly title?: string },
): Promise<{ readonly session: WireSession }> {
  authorize(principal, 'run');
  const session = await createChatSession(deps.db, principal.userId, title);
  await audit(deps, principal, { action: 'session.create', targetType: 'session', targetId: session.id });
  return { session: toWireSession(session) };
}

/** @throws AppError not_found */
export async function getSession(deps: OperationDeps, principal: Principal, { id }: ById): Promise<{ readonly session: WireSession }> {
  authorize(principal, 'read');
  return { session: toWireSession(await ownSession(deps, principal, id)) };
}

/** Oldest first, behind the seq `after`. @throws AppError not_found */
export async function listMessages(
  deps: OperationDeps,
  principal: Principal,
  { id, after = 0, limit, thread }: ById & { readonly after?: number; readonly limit: number; readonly thread?: string },
): Promise<Page<WireMessage>> {
  authorize(principal, 'read');
  await ownSession(deps, principal, id);
  const page = await listMessageRows(deps.db, principal.userId, id, { after, limit, ...(thread === undefined ? {} : { thread }) });
  return { ...page, items: page.items.map(toWireMessage) };
}
