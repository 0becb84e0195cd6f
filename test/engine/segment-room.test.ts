import { Driver, planOf } from './support/driver.js';

const tool = (id: string, fields: object = {}): object => ({ id, type: 'tool', tool: 'http:request', arguments: {}, ...fields });

/** What segments were given, in characters, as the run went on. */
function givenSizes(run: Driver): number[] {
  const sizes = new Map<string, number>();
  while (run.step()) {
    for (const [id, { given }] of Object.entries(run.state.segments ?? {})) if (!sizes.has(id)) sizes.set(id, JSON.stringify(given).length);
  }
  return [...sizes.values()];
}
const storesOf = (run: Driver): number => run.commands.filter((command) => command.kind === 'activity' && command.name === 'store').length;

describe('what a segment is given', () => {
  it('D23 stays bounded however long its loop has been: results are stored before the next one is ordered', () => {
    const plan = planOf(
      { steps: [{ id: 'l', type: 'loop', over: 'range(1500)', collect: 'outputs.c', steps: [tool('c')] }] },
      { light: true },
    );
    const run = new Driver(plan, { world: ({ nth }) => ({ output: `${nth} ${'x'.repeat(600)}` }), roundTrip: true });
    const sizes = givenSizes(run);
    expect(run.outcome).toMatchObject({ status: 'completed' });
    expect(sizes.length).toBeGreaterThan(5);
    expect(Math.max(...sizes)).toBeLessThan(160_000);
    expect(storesOf(run)).toBeGreaterThan(2);
    expect(run.callsOf('c')).toHaveLength(1500);
    expect(new Set(run.callsOf('c').map(({ iterationPath }) => iterationPath)).size).toBe(1500);
  });

  it('D23 stays bounded where many branches publish at once, and each goes on once there is room', () => {
    const branches = Array.from({ length: 12 }, (_, index) => ({
      id: `b${index}`,
      steps: [tool(`first${index}`), { id: `w${index}`, type: 'wait', duration: '1s' }, tool(`then${index}`), tool(`last${index}`)],
    }));
    const plan = planOf({ steps: [{ id: 'p', type: 'parallel', branches }] }, { light: true });
    const run = new Driver(plan, { world: () => ({ output: 'y'.repeat(30_000) }), roundTrip: true });
    const sizes = givenSizes(run);
    expect(run.outcome).toMatchObject({ status: 'completed' });
    expect(Math.max(...sizes)).toBeLessThan(200_000);
    expect(storesOf(run)).toBeGreaterThan(0);
    for (const { id } of branches) expect(run.callsOf(id.replace('b', 'last'))).toHaveLength(1);
  });

  it('a cancel while it waits for room ends the run', () => {
    const steps = [{ id: 'l', type: 'loop', over: 'range(400)', collect: 'outputs.c', steps: [tool('c')] }, tool('z')];
    const run = new Driver(planOf({ steps }, { light: true }), { world: () => ({ output: 'y'.repeat(900) }) });
    while (Object.values(run.state.fibers).every(({ wait }) => wait?.on !== 'store')) if (!run.step()) break;
    expect(Object.values(run.state.fibers).map(({ wait }) => wait?.on)).toEqual(['store']);
    run.feed({ kind: 'cancel', at: run.state.nowMs, reason: null, by: null });
    run.run();
    expect(run.outcome).toMatchObject({ status: 'cancelled' });
    expect(run.callsOf('z')).toHaveLength(0);
  });
});
