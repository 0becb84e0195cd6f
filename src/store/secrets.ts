import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Database } from './database.js';
import { statement, type Queryable } from './statement.js';

const OF_OWNER = statement('secrets_of_owner', 'SELECT name, nonce, ciphertext, tag FROM secrets WHERE owner_id = $1');
const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const KEY_BYTES = 32;

export interface SealedSecret {
  readonly nonce: Uint8Array<ArrayBuffer>;
  readonly ciphertext: Uint8Array<ArrayBuffer>;
  readonly tag: Uint8Array<ArrayBuffer>;
}

/** Encrypts a secret for one owner and name: the same bytes under another name do not open. Pure but for the nonce. */
export function sealSecret(key: Uint8Array, ownerId: string, name: string, plain: string): SealedSecret {
  checkKey(key);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(boundTo(ownerId, name));
  const ciphertext = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
  return { nonce: Uint8Array.from(nonce), ciphertext: Uint8Array.from(ciphertext), tag: Uint8Array.from(cipher.getAuthTag()) };
}

/** Decrypts it. @throws Error when key, owner, name or bytes are not the ones it was sealed with */
export function openSecret(key: Uint8Array, ownerId: string, name: string, sealed: SealedSecret): string {
  checkKey(key);
  const decipher = createDecipheriv(ALGORITHM, key, sealed.nonce).setAAD(boundTo(ownerId, name)).setAuthTag(sealed.tag);
  return Buffer.concat([decipher.update(sealed.ciphertext), decipher.final()]).toString('utf8');
}

const boundTo = (ownerId: string, name: string): Buffer => Buffer.from(JSON.stringify([ownerId, name]));

function checkKey(key: Uint8Array): void {
  if (key.byteLength !== KEY_BYTES) throw new Error(`The encryption key has ${key.byteLength} bytes, 32 are needed`);
}

export interface SecretName {
  readonly name: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Sets an owner's secret. */
export async function putSecret(db: Database, key: Uint8Array, ownerId: string, name: string, plain: string): Promise<void> {
  const sealed = sealSecret(key, ownerId, name, plain);
  await db.with((prisma) =>
    prisma.secret.upsert({
      where: { ownerId_name: { ownerId, name } },
      create: { ownerId, name, ...sealed },
      update: { ...sealed, updatedAt: new Date() },
    }),
  );
}

/** An owner's secrets of these names, decrypted; those that are not there are absent. */
export async function readSecrets(
  db: Database,
  key: Uint8Array,
  ownerId: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await db.with((prisma) => prisma.secret.findMany({ where: { ownerId, name: { in: [...names] } } }));
  return new Map(rows.map((row) => [row.name, openSecret(key, ownerId, row.name, row)]));
}

/** All of an owner's secrets, decrypted: for taking them out of what is written down. On the path of every webhook. */
export async function listSecretValues(db: Queryable, key: Uint8Array, ownerId: string): Promise<ReadonlyMap<string, string>> {
  const rows = await db.rows<SealedSecret & { readonly name: string }>(OF_OWNER, [ownerId]);
  return new Map(rows.map((row) => [row.name, openSecret(key, ownerId, row.name, row)]));
}

/** The same of an owner's rows that came along with another one (`SECRETS_BESIDE`). */
export function openSecretsBeside(key: Uint8Array, ownerId: string, rows: readonly SecretBeside[]): ReadonlyMap<string, string> {
  const bytes = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(hex, 'hex'));
  return new Map(
    rows.map(({ name, nonce, ciphertext, tag }) => [
      name,
      openSecret(key, ownerId, name, { nonce: bytes(nonce), ciphertext: bytes(ciphertext), tag: bytes(tag) }),
    ]),
  );
}

/** A sealed secret, its bytes in hexadecimal. */
export interface SecretBeside {
  readonly name: string;
  readonly nonce: string;
  readonly ciphertext: string;
  readonly tag: string;
}

/** Everything that the owner of `t` keeps secret, sealed, as a column of a row of `t`. */
export const SECRETS_BESIDE = `(SELECT coalesce(json_agg(json_build_object('name', s.name, 'nonce', encode(s.nonce, 'hex'),
     'ciphertext', encode(s.ciphertext, 'hex'), 'tag', encode(s.tag, 'hex'))), '[]') FROM secrets s WHERE s.owner_id = t.owner_id)`;

/** Names only, in order. */
export async function listSecrets(db: Database, ownerId: string): Promise<SecretName[]> {
  const rows = await db.with((prisma) =>
    prisma.secret.findMany({ where: { ownerId }, orderBy: { name: 'asc' }, select: { name: true, createdAt: true, updatedAt: true } }),
  );
  return rows.map(({ name, createdAt, updatedAt }) => ({ name, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() }));
}

/** Whether there was one to delete. */
export async function deleteSecret(db: Database, ownerId: string, name: string): Promise<boolean> {
  const { count } = await db.with((prisma) => prisma.secret.deleteMany({ where: { ownerId, name } }));
  return count > 0;
}
