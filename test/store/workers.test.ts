import { isDemoModelSeen, isWorkerSeen, startHeartbeat } from '../../src/store/workers.js';
import { useDatabase } from './builders.js';

describe('worker processes', () => {
  const { db } = useDatabase();
  const missed: unknown[] = [];
  const beating = (queues: readonly string[]) => startHeartbeat(db(), { queues, everyMs: 20, onMissed: (error) => missed.push(error) });
  const until = async (claim: () => Promise<boolean>): Promise<void> => {
    while (!(await claim())) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  it('are there for the queues that they poll until they say that they stop', async () => {
    const [runs, shell] = [beating(['runs', 'agents']), beating(['shell'])];
    await until(async () => (await isWorkerSeen(db(), 'runs')) && (await isWorkerSeen(db(), 'shell')));
    await runs.stop();
    expect([await isWorkerSeen(db(), 'runs'), await isWorkerSeen(db(), 'agents'), await isWorkerSeen(db(), 'shell')]).toEqual([
      false,
      false,
      true,
    ]);
    await shell.stop();
    await shell.stop();
    expect(missed).toEqual([]);
  });

  it('say whether the demo model may answer there', async () => {
    expect(await isDemoModelSeen(db(), 'agents')).toBeUndefined();
    const real = beating(['agents', 'runs']);
    await until(async () => (await isDemoModelSeen(db(), 'agents')) === false);
    const demo = startHeartbeat(db(), { queues: ['agents'], isDemoModel: true, everyMs: 20, onMissed: (error) => missed.push(error) });
    await until(async () => (await isDemoModelSeen(db(), 'agents')) === true);
    expect(await isDemoModelSeen(db(), 'runs')).toBe(false);
    await demo.stop();
    expect(await isDemoModelSeen(db(), 'agents')).toBe(false);
    await real.stop();
    expect(missed).toEqual([]);
  });

  it('are gone when they have said nothing for some seconds, and their rows after an hour', async () => {
    const silent = (ago: string) =>
      db().pool.query(`INSERT INTO workers (id, queues, seen_at) VALUES ($1::text, '{runs}', clock_timestamp() - ($1::text)::interval)`, [
        ago,
      ]);
    await silent('5 seconds');
    expect(await isWorkerSeen(db(), 'runs')).toBe(true);
    await db().pool.query('DELETE FROM workers');
    await Promise.all([silent('9 seconds'), silent('2 hours')]);
    expect(await isWorkerSeen(db(), 'runs')).toBe(false);
    const other = beating(['other']);
    await until(() => isWorkerSeen(db(), 'other'));
    const { rows } = await db().pool.query<{ id: string }>(`SELECT id FROM workers WHERE queues = '{runs}'`);
    expect(rows.map(({ id }) => id)).toEqual(['9 seconds']);
    await other.stop();
  });

  it('tell the first of a row of beats that the database did not hear', async () => {
    await db().pool.query('ALTER TABLE workers RENAME TO workers_away');
    const heartbeat = beating(['runs']);
    await until(async () => missed.length > 0);
    await db().pool.query('ALTER TABLE workers_away RENAME TO workers');
    await until(() => isWorkerSeen(db(), 'runs'));
    await heartbeat.stop();
    expect(missed).toHaveLength(1);
  });
});
