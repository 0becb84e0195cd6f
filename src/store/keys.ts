import { createHash, randomInt } from 'node:crypto';
import type { ApiKey, User } from '../generated/prisma/client.js';
import type { Database } from './database.js';
import { newId } from './ids.js';
import { toUserRecord, type UserRecord } from './users.js';

/** A key without its secret, of which only the hash is kept. Instants are ISO texts. */
export interface KeyRecord {
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  readonly kind: 'person' | 'agent';
  readonly role: string;
  /** Null: everything that the role may do. */
  readonly scopes: readonly string[] | null;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
}

export interface NewKey {
  readonly userId: string;
  readonly name: string;
  readonly kind: 'person' | 'agent';
  readonly role: string;
  readonly scopes?: readonly string[] | null;
  readonly expiresAt?: string | null;
  /** Given only for the first key of a deployment. */
  readonly secret?: string;
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_CHARACTERS = 43;

/** `sbx_` and 256 bits. */
export const newKeySecret = (): string =>
  `sbx_${Array.from({ length: SECRET_CHARACTERS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')}`;

export const hashKeySecret = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** A new key and its secret, which nobody can read again. */
export async function createKey(db: Database, key: NewKey): Promise<{ readonly key: KeyRecord; readonly secret: string }> {
  const secret = key.secret ?? newKeySecret();
  const row = await db.with((prisma) =>
    prisma.apiKey.create({
      data: {
        id: newId('key'),
        userId: key.userId,
        name: key.name,
        kind: key.kind,
        role: key.role,
        ...(key.scopes === undefined || key.scopes === null ? {} : { scopes: [...key.scopes] }),
        hash: hashKeySecret(secret),
        expiresAt: key.expiresAt === undefined || key.expiresAt === null ? null : new Date(key.expiresAt),
      },
    }),
  );
  return { key: toKeyRecord(row), secret };
}

export interface KeyHolder {
  readonly key: KeyRecord;
  readonly user: UserRecord;
}

/** Whose key this secret is. Whether it has expired or its user is disabled is the caller's to check. */
export async function findKeyHolder(db: Database, secret: string): Promise<KeyHolder | undefined> {
  const key = await db.with((prisma) => prisma.apiKey.findUnique({ where: { hash: hashKeySecret(secret) } }));
  return key === null ? undefined : holderOf(db, key);
}

/** The same by the key's id, for browser sessions. */
export async function getKeyHolder(db: Database, keyId: string): Promise<KeyHolder | undefined> {
  const key = await db.with((prisma) => prisma.apiKey.findUnique({ where: { id: keyId } }));
  return key === null ? undefined : holderOf(db, key);
}

async function holderOf(db: Database, key: ApiKey): Promise<KeyHolder | undefined> {
  const user: User | null = await db.with((prisma) => prisma.user.findUnique({ where: { id: key.userId } }));
  return user === null ? undefined : { key: toKeyRecord(key), user: toUserRecord(user) };
}

/** Keys of a user, newest first; null: of everybody. */
export async function listKeys(db: Database, userId: string | null): Promise<KeyRecord[]> {
  const rows = await db.with((prisma) =>
    prisma.apiKey.findMany({ where: userId === null ? {} : { userId }, orderBy: [{ createdAt: 'desc' }, { id: 'desc' }] }),
  );
  return rows.map(toKeyRecord);
}

/** Whether there was one to delete; null as user: whoever's. */
export async function deleteKey(db: Database, userId: string | null, keyId: string): Promise<boolean> {
  const { count } = await db.with((prisma) => prisma.apiKey.deleteMany({ where: { id: keyId, ...(userId === null ? {} : { userId }) } }));
  return count > 0;
}

/** Notes that a key was used. Call it seldom: it is for people to read. */
export async function touchKey(db: Database, keyId: string, at: Date): Promise<void> {
  await db.with((prisma) => prisma.apiKey.updateMany({ where: { id: keyId }, data: { lastUsedAt: at } }));
}

function toKeyRecord(row: ApiKey): KeyRecord {
  const { id, userId, name, role } = row;
  return {
    id,
    userId,
    name,
    kind: row.kind as KeyRecord['kind'],
    role,
    scopes: row.scopes as readonly string[] | null,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt?.toISOString() ?? null,
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
  };
}

/** Holders of these keys, by the key's id, in two questions however many they are. */
export async function getKeyHolders(db: Database, keyIds: readonly string[]): Promise<Map<string, KeyHolder>> {
  const keys = await db.with((prisma) => prisma.apiKey.findMany({ where: { id: { in: [...keyIds] } } }));
  const users = await db.with((prisma) => prisma.user.findMany({ where: { id: { in: keys.map((key) => key.userId) } } }));
  const byId = new Map(users.map((user) => [user.id, toUserRecord(user)]));
  return new Map(
    keys.flatMap((key) => {
      const user = byId.get(key.userId);
      return user === undefined ? [] : [[key.id, { key: toKeyRecord(key), user }] as const];
    }),
  );
}
