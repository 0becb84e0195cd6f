import { randomUUID } from 'node:crypto';
import { listSteps } from '../../src/store/step-list.js';
import { readEvents, readSessionEvents } from '../../src/store/event-log.js';
import { recordEvents } from '../../src/store/projection.js';
import type { Database } from '../../src/store/database.js';
import type { EngineEvent } from '../../src/engine/types.js';
import { aCarry, started, useDatabase } from './builders.js';

const { db } = useDatabase();

/** What a pure stretch tells: each step started and completed, some skipped, one failed. */
function stretch(steps: number): EngineEvent[] {
  return Array.from({ length: steps }, (_, index): EngineEvent[] => {
    const at = 1_000 + index;
    const instance = { stepId: `s${index % 7}`, iterationPath: `l:i${index}`, attempt: 1 };
    const base = { instance, stepType: 'set' as const, at };
    if (index % 10 === 9) return [{ ...base, kind: 'step.skipped', ordinal: `${index}k`, data: {} }];
    const input = { v: { n: index } };
    const begun: EngineEvent = { ...base, kind: 'step.started', ordinal: `${index}s`, data: { input: input.v }, record: { input } };
    if (index % 10 === 4) {
      const error = { code: 'expression_error', message: 'no', retryable: false };
      return [begun, { ...base, at: at + 1, kind: 'step.failed', ordinal: `${index}f`, data: {}, record: { error } }];
    }
    const output = { v: { n: index + 1 } };
    return [
      begun,
      { ...base, at: at + 1, kind: 'step.completed', ordinal: `${index}c`, data: { output: output.v }, record: { output, choice: index } },
    ];
  }).flat();
}

async function written(database: Database, write: (executionId: string) => Promise<void>) {
  const { id, sessionId } = await started(database);
  await write(id);
  const events = await readEvents(database, id, 0, 1_000);
  const mirrored = await readSessionEvents(database, sessionId, 0, 1_000);
  const rows = (await listSteps(database, 'usr_ana', id)).toSorted((a, b) => (a.iterationPath < b.iterationPath ? -1 : 1));
  const told = JSON.stringify({ events: events.slice(1), rows })
    .replaceAll(id, 'ID')
    .replaceAll(sessionId, 'SES');
  // When a row was made is the database's own clock.
  return { told: JSON.parse(told.replace(/"createdAt":"[^"]+"/g, '"createdAt":""')) as object, events, mirrored, id };
}

describe('many events at once', () => {
  const events = stretch(120);
  const carry = (list: readonly EngineEvent[]) => aCarry({ events: list });

  it('leave the same log and the same rows as one at a time', async () => {
    const single = await written(db(), async (id) => {
      for (const event of events) await recordEvents(db(), id, carry([event]));
    });
    const together = await written(db(), async (id) => void (await recordEvents(db(), id, carry(events))));
    expect(single.events.length).toBeGreaterThan(200);
    expect(together.told).toEqual(single.told);
    expect(together.mirrored.map(({ seq }) => seq)).toEqual(together.events.map(({ seq }) => seq));
  });

  it('add nothing when they come again, in part or twice in one batch', async () => {
    const once = await written(db(), async (id) => void (await recordEvents(db(), id, carry(events))));
    const again = await written(db(), async (id) => {
      await recordEvents(db(), id, carry(events.slice(0, 90)));
      await recordEvents(db(), id, carry([...events, ...events]));
      await recordEvents(db(), id, carry(events));
    });
    expect(again.told).toEqual(once.told);
    expect(again.events.map(({ seq }) => seq)).toEqual(again.events.map((_, index) => index + 1));
  });

  it('never move a row back that has ended', async () => {
    const [begun, ended] = stretch(1) as [EngineEvent, EngineEvent];
    const late = Array.from({ length: 80 }, (_, index): EngineEvent => ({ ...begun, ordinal: `late${index}${randomUUID()}` }));
    const { id } = await written(db(), async (executionId) => {
      await recordEvents(db(), executionId, carry([begun, ended]));
      await recordEvents(db(), executionId, carry(late));
    });
    expect((await listSteps(db(), 'usr_ana', id)).map(({ status }) => status)).toEqual(['completed']);
  });
});
