import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { Client } from 'pg';

/** Prisma's own advisory lock, so that `prisma migrate deploy` and this runner never run at once. */
const MIGRATION_LOCK_ID = 72_707_369;

const CREATE_JOURNAL = `CREATE TABLE IF NOT EXISTS _prisma_migrations (id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL,
  finished_at TIMESTAMPTZ, migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`;

export interface MigrateOptions {
  /** Folder that holds `<name>/migration.sql`; default: the nearest `prisma/migrations` above this file. */
  readonly directory?: string;
  /** Told each migration's name before it runs. */
  readonly onApply?: (name: string) => void;
}

interface JournalRow {
  readonly migration_name: string;
  readonly finished_at: Date | null;
  readonly rolled_back_at: Date | null;
}

/**
 * Applies what is missing of prisma/migrations, in name order, under a lock; compatible with `prisma migrate deploy` in both
 * directions (same journal, same checksums). Safe to run from many processes at once.
 * @returns the names applied, none when the database was current
 * @throws Error when an earlier migration failed half-way, or when one fails now (its journal row keeps the text)
 */
export async function applyMigrations(connectionString: string, options: MigrateOptions = {}): Promise<string[]> {
  const client = new Client({ connectionString });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK_ID]);
    await client.query(CREATE_JOURNAL);
    return await applyPending(client, options);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function applyPending(client: Client, options: MigrateOptions): Promise<string[]> {
  const directory = options.directory ?? defaultDirectory();
  const finished = await readJournal(client);
  const applied: string[] = [];
  for (const name of await migrationNames(directory)) {
    if (finished.has(name)) continue;
    options.onApply?.(name);
    await applyOne(client, name, await readFile(path.join(directory, name, 'migration.sql')));
    applied.push(name);
  }
  return applied;
}

async function readJournal(client: Client): Promise<Set<string>> {
  const { rows } = await client.query<JournalRow>('SELECT migration_name, finished_at, rolled_back_at FROM _prisma_migrations');
  const unfinished = rows.find((row) => row.finished_at === null && row.rolled_back_at === null);
  if (unfinished !== undefined) {
    throw new Error(`Migration ${unfinished.migration_name} failed earlier; repair it, then mark it with "prisma migrate resolve"`);
  }
  return new Set(rows.filter((row) => row.finished_at !== null && row.rolled_back_at === null).map((row) => row.migration_name));
}

async function migrationNames(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted();
}

async function applyOne(client: Client, name: string, file: Buffer): Promise<void> {
  const id = randomUUID();
  const checksum = createHash('sha256').update(file).digest('hex');
  await client.query('INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ($1, $2, $3)', [id, checksum, name]);
  try {
    await client.query(file.toString('utf8'));
  } catch (error) {
    await client.query('UPDATE _prisma_migrations SET logs = $2 WHERE id = $1', [id, String(error)]);
    throw new Error(`Migration ${name} failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  await client.query('UPDATE _prisma_migrations SET finished_at = now(), applied_steps_count = 1 WHERE id = $1', [id]);
}

/** From src/store and dist/store alike: the nearest folder above that has prisma/migrations. */
function defaultDirectory(): string {
  let folder = __dirname;
  for (;;) {
    const candidate = path.join(folder, 'prisma', 'migrations');
    if (existsSync(candidate)) return candidate;
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error(`No prisma/migrations above ${__dirname}`);
    folder = parent;
  }
}
