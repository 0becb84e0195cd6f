import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { applyMigrations } from '../../src/store/migrate.js';
import { testServer } from './test-server-address.js';

export interface TestDatabase {
  /** A connection string of its superuser. */
  readonly url: string;
  /** Ends what is still connected and removes it. */
  drop(): Promise<void>;
}

/** A database of its own for one test file, with the migrations applied. Starts the run's PostgreSQL if nobody has. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const database = await createEmptyDatabase();
  await applyMigrations(database.url);
  return database;
}

/** The same without migrations: for tests of the migration runner. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const server = await testServer<{ url: string }>('postgres');
  const name = `test_${randomBytes(6).toString('hex')}`;
  await administer(server.url, `create database ${name}`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => administer(server.url, `drop database if exists ${name} with (force)`) };
}

async function administer(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
