import { isCron, parseCron } from '../../../src/operations/triggers/cron.js';
import { nominalTimeOf } from '../../../src/operations/triggers/nominal-time.js';

function nominal(text: string, zone: string, start: string, jitterMs = 60_000): string | undefined {
  const cron = parseCron(text);
  if (!isCron(cron)) throw new Error(cron.message);
  const found = nominalTimeOf(cron, zone, Date.parse(start), jitterMs);
  return found === undefined ? undefined : new Date(found).toISOString();
}

describe('the tick that a jittered start belongs to', () => {
  it.each([
    ['0 9 * * *', 'UTC', '2026-11-24T09:00:41.250Z', '2026-11-24T09:00:00.000Z'],
    ['0 9 * * *', 'Asia/Kolkata', '2026-11-24T03:30:59.000Z', '2026-11-24T03:30:00.000Z'],
    ['0,20,40 * * * * * *', 'UTC', '2026-11-24T09:01:19.999Z', '2026-11-24T09:01:00.000Z'],
    ['50 * * * * * *', 'UTC', '2026-11-24T09:01:10.000Z', '2026-11-24T09:00:50.000Z'],
    ['* * * * *', 'Europe/Berlin', '2026-11-24T09:01:00.000Z', '2026-11-24T09:01:00.000Z'],
    // Both passes of the hour that comes twice.
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30:20.000Z', '2026-10-25T00:30:00.000Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T01:30:20.000Z', '2026-10-25T01:30:00.000Z'],
    ['@every 5m', 'UTC', '2026-11-24T09:07:30.000Z', '2026-11-24T09:05:00.000Z'],
    ['@every 1h/10m', 'UTC', '2026-11-24T09:12:00.000Z', '2026-11-24T09:10:00.000Z'],
    ['@every 1h/10m', 'UTC', '2026-11-24T09:05:00.000Z', '2026-11-24T08:10:00.000Z'],
  ])('of %s in %s started at %s is %s', (text, zone, start, expected) => {
    expect(nominal(text, zone, start)).toBe(expected);
  });

  it('is none where the jitter does not reach', () => {
    expect(nominal('0 9 * * *', 'UTC', '2026-11-24T09:05:00.000Z')).toBeUndefined();
    expect(nominal('0 9 * * *', 'UTC', '2026-11-24T09:05:00.000Z', 600_000)).toBe('2026-11-24T09:00:00.000Z');
  });
});
