import type { User } from '../generated/prisma/client.js';
import { AppError } from '../errors.js';
import type { Database, Tx } from './database.js';
import { newId } from './ids.js';
import { NEWEST_FIRST, behind, toPage, type Page, type PageRequest } from './page.js';
import { camelRow, statement, type Queryable } from './statement.js';
import { violatedIndex } from './database-error.js';

export interface UserRecord {
  readonly id: string;
  readonly name: string;
  /** Lower case. */
  readonly email: string;
  readonly role: string;
  readonly groups: readonly string[];
  readonly slackUserId: string | null;
  readonly disabled: boolean;
  readonly createdAt: string;
}

export interface NewUser {
  readonly name: string;
  readonly email: string;
  readonly role: string;
  readonly groups?: readonly string[];
  readonly slackUserId?: string | null;
}

export type UserChange = Partial<Pick<UserRecord, 'name' | 'role' | 'groups' | 'slackUserId' | 'disabled'>>;

const GET = statement('get_user', 'SELECT * FROM users WHERE id = $1');
const FIND = statement('find_user', 'SELECT * FROM users WHERE id = $1 OR email = lower($1)');
const BY_SLACK_ID = statement('user_of_slack', 'SELECT * FROM users WHERE slack_user_id = $1');
const NAMED = statement('users_named', 'SELECT * FROM users WHERE id = ANY($1) OR email = ANY($1)');
const INSERT = statement(
  'insert_user',
  `INSERT INTO users (id, name, email, role, groups, slack_user_id) VALUES ($1, $2, lower($3), $4, $5, $6) RETURNING *`,
);
const INSERT_ORCHESTRATOR = statement(
  'insert_orchestrator',
  `WITH stream AS (INSERT INTO streams (id, owner_id, kind) VALUES ($1, $2, 'session'))
   INSERT INTO sessions (id, owner_id, kind, title) VALUES ($1, $2, 'orchestrator', 'Orchestrator')`,
);

/** A new user with the lasting session of their agent. @throws AppError email_taken, slack_user_taken */
export async function createUser(db: Database, user: NewUser): Promise<UserRecord> {
  try {
    return await db.transaction((tx) => createUserIn(tx, user));
  } catch (error) {
    if (violatedIndex(error) === 'users_email_key')
      throw new AppError('email_taken', `A user with the e-mail ${user.email} exists`, { email: user.email }, { cause: error });
    throw slackUserTaken(error, user.slackUserId) ?? error;
  }
}

function slackUserTaken(error: unknown, slackUserId: string | null | undefined): AppError | undefined {
  if (violatedIndex(error) !== 'users_slack_user_id_key') return undefined;
  return new AppError(
    'slack_user_taken',
    `The Slack user ${String(slackUserId)} is linked to another person`,
    { slackUserId: slackUserId ?? '' },
    { cause: error },
  );
}

async function createUserIn(tx: Tx, user: NewUser): Promise<UserRecord> {
  const id = newId('usr');
  const [row] = await tx.rows(INSERT, [id, user.name, user.email, user.role, [...(user.groups ?? [])], user.slackUserId ?? null]);
  if (row === undefined) throw new Error(`User ${id} was not inserted`);
  await tx.rows(INSERT_ORCHESTRATOR, [newId('ses'), id]);
  return fromRow(row);
}

/** A user by id. */
export async function getUser(db: Queryable, id: string): Promise<UserRecord | undefined> {
  const [row] = await db.rows(GET, [id]);
  return row === undefined ? undefined : fromRow(row);
}

/** A user by id or e-mail (any case). */
export async function findUser(db: Queryable, idOrEmail: string): Promise<UserRecord | undefined> {
  const [row] = await db.rows(FIND, [idOrEmail]);
  return row === undefined ? undefined : fromRow(row);
}

/** The person linked to this user of Slack. */
export async function getUserOfSlack(db: Queryable, slackUserId: string): Promise<UserRecord | undefined> {
  const [row] = await db.rows(BY_SLACK_ID, [slackUserId]);
  return row === undefined ? undefined : fromRow(row);
}

/** Those of the names, ids or e-mails (any case), that are people. */
export async function getUsersNamed(db: Queryable, idsOrEmails: readonly string[]): Promise<readonly UserRecord[]> {
  if (idsOrEmails.length === 0) return [];
  return (await db.rows(NAMED, [idsOrEmails.flatMap((name) => [name, name.toLowerCase()])])).map(fromRow);
}

/** Changes what is given. Undefined: no such user. @throws AppError slack_user_taken */
export async function updateUser(db: Database, id: string, change: UserChange): Promise<UserRecord | undefined> {
  const { groups, ...rest } = change;
  const data = { ...rest, ...(groups === undefined ? {} : { groups: [...groups] }), updatedAt: new Date() };
  const [row] = await db
    .with((prisma) => prisma.user.updateManyAndReturn({ where: { id }, data }))
    .catch((error: unknown) => {
      throw slackUserTaken(error, change.slackUserId) ?? error;
    });
  return row === undefined ? undefined : toUserRecord(row);
}

/** All users, newest first. */
export async function listUsers(db: Database, page: PageRequest): Promise<Page<UserRecord>> {
  const rows = await db.with((prisma) => prisma.user.findMany({ where: behind(page.cursor), orderBy: NEWEST_FIRST, take: page.limit + 1 }));
  return toPage(rows, page.limit, toUserRecord);
}

export const countUsers = (db: Database): Promise<number> => db.with((prisma) => prisma.user.count());

const fromRow = (row: object): UserRecord => toUserRecord(camelRow<User>(row));

export function toUserRecord(row: User): UserRecord {
  const { id, name, email, role, groups, slackUserId, disabled, createdAt } = row;
  return { id, name, email, role, groups, slackUserId, disabled, createdAt: createdAt.toISOString() };
}
