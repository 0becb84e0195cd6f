import { RateLimiter } from '../../src/api/rate-limiter.js';

describe('rate limiter', () => {
  it('lets a minute’s worth pass at once, then one for each share of a minute', () => {
    const clock = { now: 0 };
    const limiter = new RateLimiter(60, () => clock.now);
    expect(Array.from({ length: 60 }, () => limiter.take('a'))).toEqual(Array.from({ length: 60 }, () => 0));
    expect(limiter.take('a')).toBe(1_000);
    clock.now = 400;
    expect(limiter.take('a')).toBe(600);
    clock.now = 1_000;
    expect([limiter.take('a'), limiter.take('a')]).toEqual([0, 1_000]);
  });

  it('counts callers apart', () => {
    const limiter = new RateLimiter(1, () => 0);
    expect([limiter.take('a'), limiter.take('b'), limiter.take('a')]).toEqual([0, 0, 60_000]);
  });

  it('limits nobody at 0', () => {
    const limiter = new RateLimiter(0);
    expect(Array.from({ length: 1_000 }, () => limiter.take('a')).every((wait) => wait === 0)).toBe(true);
  });
});
