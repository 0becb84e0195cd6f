import { createHash } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import { Pool, type PoolClient } from 'pg';
import { PrismaClient } from '../generated/prisma/client.js';
import { isRetriedConflict, toDatabaseError } from './database-error.js';
import { Notifier } from './notifier.js';
import { statement, type Queryable, type Statement } from './statement.js';
import { StreamWriter } from './stream-writer.js';

export interface DatabaseOptions {
  /** Connections at once; 10. */
  readonly poolSize?: number;
  /** Told when an idle connection breaks; the pool replaces it. */
  readonly onConnectionLost?: (error: Error) => void;
}

/** A transaction: all or nothing. */
export interface Tx extends Queryable {
  /** Streams whose readers are woken once it is committed. */
  wake(...streamIds: readonly (string | null)[]): void;
}

const TRIES = 4;
/** A connection's first calls plan what they run, some 50 ms in all: a pause between two runs must not end it. */
const KEEP_IDLE_MS = 60_000;
const PING = statement('ping', 'SELECT 1');

/**
 * The store's connections: one pool that `pg` and Prisma share. PostgreSQL may vanish and return: whatever is asked of it
 * meanwhile fails with AppError `unavailable`, and nothing else does.
 */
export class Database implements Queryable {
  readonly prisma: PrismaClient;
  readonly notifier: Notifier;
  /** Writer of the hot path: one at a time for each execution. */
  readonly writer: StreamWriter;

  constructor(readonly pool: Pool) {
    this.prisma = new PrismaClient({
      adapter: new PrismaPg(pool, { statementNameGenerator: ({ sql }) => `prisma_${createHash('sha1').update(sql).digest('hex')}` }),
    });
    this.notifier = new Notifier(pool);
    this.writer = new StreamWriter(this, this.notifier);
  }

  /** One statement, committed by itself. */
  async rows<R extends object>(statement: Statement, values: readonly unknown[]): Promise<R[]> {
    try {
      const { rows } = await this.pool.query<R>({ ...statement, values: [...values] });
      return rows;
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  /** Prisma, with its faults told like all others. */
  async with<T>(work: (prisma: PrismaClient) => Promise<T>): Promise<T> {
    try {
      return await work(this.prisma);
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  /** Runs `work` in a transaction and wakes readers after the commit. It is run again after a deadlock or a serialisation conflict. */
  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    for (let tried = 1; ; tried += 1) {
      try {
        return await this.tryTransaction(work);
      } catch (error) {
        if (tried === TRIES || !isRetriedConflict(error)) throw toDatabaseError(error);
      }
    }
  }

  private async tryTransaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    const tx = new ClientTx(client);
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const result = await work(tx);
      await client.query('COMMIT');
      this.notifier.wake(tx.woken);
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((fault: Error) => {
        broken = fault;
      });
      throw error;
    } finally {
      client.release(broken);
    }
  }

  /** Whether PostgreSQL answers. */
  async isReachable(): Promise<boolean> {
    return this.rows(PING, []).then(
      () => true,
      () => false,
    );
  }

  /** Prisma's first query costs half a second: let it not be a caller's. */
  async warmUp(): Promise<void> {
    await this.prisma.user.findFirst({ select: { id: true } }).catch(() => null);
  }

  /** Sends the last wake-ups and closes every connection. */
  async close(): Promise<void> {
    await this.writer.drain();
    await this.notifier.close();
    await this.prisma.$disconnect();
    await this.pool.end();
  }
}

class ClientTx implements Tx {
  readonly woken = new Set<string>();

  constructor(private readonly client: PoolClient) {}

  async rows<R extends object>(statement: Statement, values: readonly unknown[]): Promise<R[]> {
    const { rows } = await this.client.query<R>({ ...statement, values: [...values] });
    return rows;
  }

  wake(...streamIds: readonly (string | null)[]): void {
    for (const id of streamIds) if (id !== null) this.woken.add(id);
  }
}

/** Connections are opened when first needed, so that a process starts also while PostgreSQL is away. */
export function openDatabase(connectionString: string, options: DatabaseOptions = {}): Database {
  const pool = new Pool({
    connectionString,
    max: options.poolSize ?? 10,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: KEEP_IDLE_MS,
    keepAlive: true,
    // A process that is frozen in a transaction must not hold an execution's lock.
    idle_in_transaction_session_timeout: 5_000,
    statement_timeout: 30_000,
  });
  pool.on('error', (error) => options.onConnectionLost?.(error));
  // A connection that breaks while it is lent out tells its query, and says so here: unheard, that would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new Database(pool);
}
