import type { Session } from '../generated/prisma/client.js';
import type { Database } from './database.js';
import { newId } from './ids.js';
import { toStorableText } from './json-text.js';
import { behind, NEWEST_FIRST, toPage, type Page, type PageRequest } from './page.js';
import { camelRow, statement } from './statement.js';

export type SessionKind = 'orchestrator' | 'chat' | 'execution';

/** A chat session. Instants are ISO texts. */
export interface SessionRecord {
  readonly id: string;
  readonly ownerId: string;
  readonly kind: SessionKind;
  readonly title: string;
  /** The execution that it was made for. */
  readonly executionId: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

const INSERT = statement(
  'insert_chat_session',
  `WITH stream AS (INSERT INTO streams (id, owner_id, kind) VALUES ($1, $2, 'session'))
   INSERT INTO sessions (id, owner_id, kind, title) VALUES ($1, $2, 'chat', $3) RETURNING *`,
);
const ORCHESTRATOR = statement(
  'orchestrator_session',
  `SELECT * FROM sessions WHERE owner_id = $1 AND kind = 'orchestrator' ORDER BY created_at, id LIMIT 1`,
);

/** A new chat with its stream. */
export async function createChatSession(db: Database, ownerId: string, title: string): Promise<SessionRecord> {
  const [row] = await db.rows(INSERT, [newId('ses'), ownerId, toStorableText(title)]);
  if (row === undefined) throw new Error('The session was not inserted');
  return fromRow(row);
}

/** The one lasting session of a user's agent. Made with the user. */
export async function getOrchestratorSession(db: Database, ownerId: string): Promise<SessionRecord | undefined> {
  const [row] = await db.rows(ORCHESTRATOR, [ownerId]);
  return row === undefined ? undefined : fromRow(row);
}

/** A session of this owner. */
export async function getSession(db: Database, ownerId: string, id: string): Promise<SessionRecord | undefined> {
  const row = await db.with((prisma) => prisma.session.findFirst({ where: { id, ownerId } }));
  return row === null ? undefined : toSessionRecord(row);
}

/** The orchestrator first (on the first page), then newest first. */
export async function listSessions(
  db: Database,
  ownerId: string,
  filter: PageRequest & { readonly kind?: SessionKind },
): Promise<Page<SessionRecord>> {
  const first =
    filter.cursor === undefined && filter.kind !== 'chat' && filter.kind !== 'execution'
      ? await getOrchestratorSession(db, ownerId)
      : undefined;
  const rows = await db.with((prisma) =>
    prisma.session.findMany({
      where: {
        AND: [
          { ownerId, kind: filter.kind ?? { not: 'orchestrator' }, archivedAt: null },
          filter.kind === 'orchestrator' ? { id: '' } : {},
          behind(filter.cursor),
        ],
      },
      orderBy: NEWEST_FIRST,
      take: filter.limit + 1,
    }),
  );
  const page = toPage(rows, filter.limit, toSessionRecord);
  return first === undefined ? page : { ...page, items: [first, ...page.items] };
}

const fromRow = (row: object): SessionRecord => toSessionRecord(camelRow<Session>(row));

function toSessionRecord(row: Session): SessionRecord {
  const { id, ownerId, title, executionId } = row;
  return {
    id,
    ownerId,
    kind: row.kind as SessionKind,
    title,
    executionId,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}
