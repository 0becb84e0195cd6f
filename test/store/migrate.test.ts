import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { applyMigrations } from '../../src/store/migrate.js';
import { createEmptyDatabase, type TestDatabase } from '../support/postgres.js';

const run = promisify(execFile);
const ROOT = path.join(__dirname, '..', '..');

describe('migrations', () => {
  let database: TestDatabase;
  let directory: string;
  beforeEach(async () => {
    database = await createEmptyDatabase();
    directory = await mkdtemp(path.join(tmpdir(), 'migrations-'));
  });
  afterEach(async () => {
    await database.drop();
    await rm(directory, { recursive: true });
  });

  const query = async (sql: string): Promise<object[]> => {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    try {
      return (await client.query<object>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  const aMigration = async (name: string, sql: string): Promise<void> => {
    await mkdir(path.join(directory, name), { recursive: true });
    await writeFile(path.join(directory, name, 'migration.sql'), sql);
  };
  const drift = async (): Promise<string> =>
    (await run(process.execPath, ['prisma/schema-engine.mjs', 'drift', database.url], { cwd: ROOT })).stdout.trim();

  it("give what schema.prisma says, by Prisma's own comparison", async () => {
    await applyMigrations(database.url);
    expect(await drift()).toBe('-- This is an empty migration.');
    await query('ALTER TABLE steps DROP COLUMN fence');
    expect(await drift()).toContain('ADD COLUMN     "fence"');
  });

  it("are what Prisma's own runner finds applied and unedited", async () => {
    await applyMigrations(database.url);
    const { stdout } = await run(process.execPath, ['prisma/schema-engine.mjs', 'history', database.url], { cwd: ROOT });
    expect(JSON.parse(stdout)).toMatchObject({ editedMigrationNames: [], failedMigrationNames: [], history: null, appliedNow: [] });
  });

  it('are applied in order, each once, also by several processes at once', async () => {
    await aMigration('1_first', 'CREATE TABLE first (id int)');
    await aMigration('2_second', 'ALTER TABLE first ADD COLUMN name text');
    const applied = await Promise.all([1, 2, 3].map(() => applyMigrations(database.url, { directory })));
    expect(applied.flat()).toEqual(['1_first', '2_second']);
    await aMigration('3_third', 'DROP TABLE first');
    expect(await applyMigrations(database.url, { directory })).toEqual(['3_third']);
  });

  it('stop at one that fails, keep its text, and refuse to go on until it is repaired', async () => {
    await aMigration('1_first', 'CREATE TABLE first (id int); SELECT nothing');
    await expect(applyMigrations(database.url, { directory })).rejects.toThrow('Migration 1_first failed: column "nothing" does not exist');
    expect(await query("SELECT migration_name, finished_at, logs LIKE '%nothing%' AS told FROM _prisma_migrations")).toEqual([
      { migration_name: '1_first', finished_at: null, told: true },
    ]);
    await expect(applyMigrations(database.url, { directory })).rejects.toThrow('failed earlier');
  });
});
