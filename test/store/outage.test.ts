import { once, EventEmitter } from 'node:events';
import type { ExecutionOutcome } from '../../src/engine/types.js';
import { hasCode } from '../../src/errors.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { settleExecution } from '../../src/store/end-execution.js';
import { append, readEvents } from '../../src/store/event-log.js';
import type { ExecutionRecord } from '../../src/store/execution-record.js';
import { listExecutions } from '../../src/store/executions.js';
import { openGate } from '../../src/store/gates.js';
import { Listener, type Wake } from '../../src/store/listener.js';
import { beginStep } from '../../src/store/steps.js';
import { aBegin, aNewGate, anEvent, started, useDatabase } from './builders.js';
import { CuttableProxy } from './cuttable-proxy.js';

const COMPLETED: ExecutionOutcome = { status: 'completed', output: { v: null }, error: null, reason: null, requested: false };
interface Grown {
  readonly db: Database;
  readonly execution: ExecutionRecord;
}

describe('while PostgreSQL is away', () => {
  const { url } = useDatabase();
  let proxy: CuttableProxy;
  let db: Database;

  beforeEach(async () => {
    proxy = new CuttableProxy(new URL(url()));
    await proxy.mend();
    db = openDatabase(proxy.url);
  });
  afterEach(async () => {
    await db.close();
    await proxy.cut();
  });

  const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => 'done',
      (error: unknown) => (hasCode(error, 'unavailable') ? error.data : error),
    );
  const away = { part: 'postgres', retryAfterSeconds: 1 };

  it('D10: answers unavailable, and goes on when it is back, for statements, transactions, the writer and Prisma alike', async () => {
    const execution = await started(db);
    await proxy.cut();
    expect(await codeOf(readEvents(db, execution.id, 0, 10))).toEqual(away);
    expect(await codeOf(append(db, execution.id, [anEvent()]))).toEqual(away);
    expect(await codeOf(beginStep(db, aBegin(execution)))).toEqual(away);
    expect(await codeOf(listExecutions(db, { ownerId: null, limit: 1 }))).toEqual(away);
    await proxy.mend();
    expect(await beginStep(db, aBegin(execution))).toEqual({ kind: 'run', fence: 1 });
    expect(await append(db, execution.id, [anEvent()])).toEqual([3]);
    expect((await listExecutions(db, { ownerId: null, limit: 1 })).items).toHaveLength(1);
  });

  it('leaves nothing half-written when the connection breaks inside a transaction', async () => {
    const execution = await started(db);
    const broken = db.transaction(async (tx) => {
      await tx.rows({ name: 'half', text: `UPDATE executions SET reason = 'half' WHERE id = $1` }, [execution.id]);
      await proxy.cut();
      await tx.rows({ name: 'rest', text: 'SELECT 1' }, []);
    });
    expect(await codeOf(broken)).toEqual(away);
    await proxy.mend();
    const [row] = await db.rows<{ reason: string | null }>({ name: 'reason', text: 'SELECT reason FROM executions WHERE id = $1' }, [
      execution.id,
    ]);
    expect(row?.reason).toBeNull();
  });

  it('keeps a listener alive, which wakes its readers once it hears again', async () => {
    const wakes = new EventEmitter();
    const listener = new Listener({ connectionString: proxy.url, sweepMs: 60_000, onWake: (wake: Wake) => wakes.emit('wake', wake) });
    await listener.start();
    const lost = once(wakes, 'wake');
    await proxy.cut();
    await proxy.mend();
    expect((await lost)[0]).toBe('all');
    expect(listener.isConnected).toBe(true);
    await listener.close();
  });
});

describe('a listener', () => {
  const { db, url } = useDatabase();

  it.each([
    ['a step begins', ({ db: at, execution }: Grown) => beginStep(at, aBegin(execution)), ['step.started']],
    [
      'a gate opens',
      ({ db: at, execution }: Grown) => openGate(at, aNewGate(execution)),
      ['step.started', 'approval.required', 'step.waiting'],
    ],
    ['the execution ends', ({ db: at, execution }: Grown) => settleExecution(at, execution.id, null, COMPLETED), ['execution.completed']],
  ] as const)("R6: hears of every stream that grew, the session's too, after the commit: %s", async (_when, grow, kinds) => {
    const execution = await started(db());
    // Its own wake-ups go out before anybody listens.
    await db().notifier.close();
    const heard = new Set<string>();
    const wakes = new EventEmitter();
    const listener = new Listener({
      connectionString: url(),
      sweepMs: 60_000,
      onWake: (wake) => {
        if (wake !== 'all') for (const id of wake) heard.add(id);
        wakes.emit('wake');
      },
    });
    await listener.start();
    await grow({ db: db(), execution });
    while (!heard.has(execution.id) || !heard.has(execution.sessionId)) await once(wakes, 'wake');
    expect((await readEvents(db(), execution.id, 1, 10)).map((event) => event.kind)).toEqual(kinds);
    await listener.close();
  });

  it('sweeps without being told', async () => {
    const wakes = new EventEmitter();
    const listener = new Listener({ connectionString: url(), sweepMs: 20, onWake: (wake) => wakes.emit('wake', wake) });
    await listener.start();
    await once(wakes, 'wake');
    expect((await once(wakes, 'wake'))[0]).toBe('all');
    await listener.close();
  });
});
