import { isCron, parseCron, parseTimeZone } from '../../../src/operations/triggers/cron.js';
import { describeCron } from '../../../src/operations/triggers/describe-schedule.js';
import { repeatedTicks } from '../../../src/operations/triggers/repeated-hours.js';

const parsed = (text: string) => {
  const cron = parseCron(text);
  if (!isCron(cron)) throw new Error(cron.message);
  return cron;
};

describe('a cron expression', () => {
  it.each([
    ['0 9 * * *', 'At 09:00 AM'],
    ['0 9 * * 1-5', 'At 09:00 AM, Monday through Friday'],
    ['*/15 9-17 * * mon-fri', 'Every 15 minutes, between 09:00 AM and 05:59 PM, Monday through Friday'],
    ['0 9 * * 7', 'At 09:00 AM, only on Sunday'],
    ['0  9 * * *', 'At 09:00 AM'],
    ['@daily', 'At 12:00 AM'],
    ['@Hourly', 'Every hour'],
    ['@monthly', 'At 12:00 AM, on day 1 of the month'],
    ['0 9 * * * 2027', 'At 09:00 AM, only in 2027'],
    ['5 0 9 * * * *', 'At 09:00:05 AM'],
    ['@every 5m', 'Every 5 minutes'],
    ['@every 1h/10m', 'Every 1 hour, 10 minutes past'],
  ])('%s says in words: %s', (text, words) => {
    expect(describeCron(parsed(text))).toBe(words);
  });

  it.each([
    ['', '5 fields'],
    ['* * *', '5 fields'],
    ['0 9 * * * * * *', '5 fields'],
    ['61 * * * *', 'minute'],
    ['* 24 * * *', 'hour'],
    ['0 9 5-1 * *', 'ends before it begins'],
    ['*/0 * * * *', 'step'],
    ['*/61 * * * *', 'step'],
    ['0 9 ? * 1', 'write * instead of ?'],
    ['0 9 L * *', 'day of month'],
    ['0 9 * * 5#2', 'day of week'],
    ['0 9 * * 1,', 'day of week'],
    ['0 9 * foo *', 'month'],
    ['0 9 30 2 *', 'never fires'],
    ['TZ=Asia/Tokyo 0 9 * * *', 'minute'],
    ['@reboot', 'no macro'],
    ['@every soon', '@every'],
    ['@every 0s', '@every'],
  ])('T10 %s is refused for its %s', (text, why) => {
    const fault = parseCron(text);
    expect(fault).toMatchObject({ code: 'invalid_field' });
    expect((fault as { message: string }).message).toContain(why);
  });

  it.each(['0 9 1 * 1', '0 9 */2 * mon', '0 0 9 1-30 * 5 *'])('T10 %s is refused with the reason: day of month and day of week', (text) => {
    const fault = parseCron(text);
    expect(fault).toMatchObject({ code: 'schedule_dom_dow' });
    expect((fault as { message: string }).message).toMatch(/classic cron fires when either fits, Temporal only when both do/);
  });

  it.each(['0 9 1-31 * 1', '0 9 1 * 0-6', '0 9 1 * 1-7'])('%s restricts only one of the two', (text) => {
    expect(isCron(parseCron(text))).toBe(true);
  });
});

describe('a time zone', () => {
  it.each([
    ['Europe/Berlin', 'Europe/Berlin'],
    ['europe/berlin', 'Europe/Berlin'],
    ['utc', 'UTC'],
    ['US/Pacific', 'US/Pacific'],
    ['Mars/Base', undefined],
    ['+02:00', undefined],
    ['', undefined],
  ])('%s is %s', (given, expected) => {
    expect(parseTimeZone(given)).toBe(expected);
  });
});

describe('T11 the hour that comes twice', () => {
  const now = Date.parse('2026-11-24T00:00:00Z');
  const ticks = (cron: string, zone: string) => repeatedTicks(parsed(cron), zone, now).map((ms) => new Date(ms).toISOString());

  it('has both 02:30 of Berlin', () => {
    expect(ticks('30 2 * * *', 'Europe/Berlin')).toEqual([
      '2025-10-26T00:30:00.000Z',
      '2025-10-26T01:30:00.000Z',
      '2026-10-25T00:30:00.000Z',
      '2026-10-25T01:30:00.000Z',
      '2027-10-31T00:30:00.000Z',
      '2027-10-31T01:30:00.000Z',
    ]);
  });
  it('has both 01:30 of Los Angeles', () => {
    expect(ticks('30 1 * * *', 'America/Los_Angeles')).toEqual(
      expect.arrayContaining(['2026-11-01T08:30:00.000Z', '2026-11-01T09:30:00.000Z']),
    );
  });
  it('has the half hour of Lord Howe', () => {
    expect(ticks('45 1 * * *', 'Australia/Lord_Howe')).toEqual(
      expect.arrayContaining(['2027-04-03T14:45:00.000Z', '2027-04-03T15:15:00.000Z']),
    );
  });
  it('leaves other times, other days, UTC and intervals alone', () => {
    expect([
      ticks('30 4 * * *', 'Europe/Berlin'),
      ticks('30 2 * * 1-6', 'Europe/Berlin'),
      ticks('30 2 * * *', 'UTC'),
      ticks('@every 5m', 'Europe/Berlin'),
    ]).toEqual([[], [], [], []]);
  });
  it('is bounded for a cron of seconds', () => {
    expect(ticks('* * * * * * *', 'Europe/Berlin')).toHaveLength(240);
  });
});
