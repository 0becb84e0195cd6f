import { queueLimit } from '../../src/workflows/activity-calls.js';

describe('the time that a call may take with its queue', () => {
  it.each([
    ['its own limit, and a little', 1_000, 60_000, 6_000],
    ["what is left of the run's, when that is shorter", 60_000, 1_000, 6_000],
    ["what is left of the run's, without one of its own", null, 3_600_000, 3_605_000],
    ['a little, when nothing is left', null, -5, 5_000],
    ['its own alone in a clean-up', 1_000, null, 6_000],
    ['without an end in a clean-up that aborts it', null, null, null],
  ])('is %s', (_what, timeoutMs, runLeftMs, expected) => {
    expect(queueLimit(timeoutMs, runLeftMs)).toBe(expected);
  });
});
