import { KeyRing } from '../../src/api/key-ring.js';
import type { KnownKey } from '../../src/operations/authenticate-key.js';

const SECRET = `sbx_${'k'.repeat(24)}`;
const aKey = (expiresAtMs: number | null = null): KnownKey => ({
  expiresAtMs,
  principal: {
    userId: 'usr_1',
    name: 'Ana',
    email: 'ana@example.com',
    groups: [],
    role: 'viewer',
    kind: 'person',
    keyId: 'key_1',
    scopes: null,
  },
});

function aRing(find: () => Promise<KnownKey | null>) {
  const clock = { now: 1_000_000 };
  const asked: string[] = [];
  const ring = new KeyRing(
    (sha256) => {
      asked.push(sha256);
      return find();
    },
    () => clock.now,
  );
  return { ring, clock, asked };
}

describe('key ring', () => {
  it('asks by SHA-256, once for two seconds', async () => {
    const { ring, clock, asked } = aRing(async () => aKey());
    await Promise.all([ring.principalOf(SECRET), ring.principalOf(SECRET)]);
    clock.now += 1_999;
    await ring.principalOf(SECRET);
    expect(asked).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
    clock.now += 1;
    await ring.principalOf(SECRET);
    expect(asked).toHaveLength(2);
  });

  it('refuses a key from the moment that it expires, remembered or not', async () => {
    const { ring, clock } = aRing(async () => aKey(1_000_500));
    expect(await ring.principalOf(SECRET)).not.toBeNull();
    clock.now = 1_000_500;
    expect(await ring.principalOf(SECRET)).toBeNull();
  });

  it('knows of a revocation at once after forget, else when it asks anew', async () => {
    let revoked = false;
    const { ring, clock } = aRing(async () => (revoked ? null : aKey()));
    await ring.principalOf(SECRET);
    revoked = true;
    ring.forget();
    expect(await ring.principalOf(SECRET)).toBeNull();
    revoked = false;
    expect(await ring.principalOf(SECRET)).toBeNull();
    clock.now += 2_000;
    expect(await ring.principalOf(SECRET)).not.toBeNull();
  });

  it('does not remember a look-up that failed', async () => {
    let away = true;
    const { ring } = aRing(() => (away ? Promise.reject(new Error('away')) : Promise.resolve(aKey())));
    await expect(ring.principalOf(SECRET)).rejects.toThrow('away');
    away = false;
    expect(await ring.principalOf(SECRET)).not.toBeNull();
  });

  it('never asks for what cannot be a key', async () => {
    const { ring, asked } = aRing(async () => aKey());
    for (const secret of ['', 'sbx_short', `sbx_${'k'.repeat(201)}`, `SBX_${'k'.repeat(24)}`, `sbx_${'k'.repeat(20)}-`])
      expect(await ring.principalOf(secret)).toBeNull();
    expect(asked).toEqual([]);
  });
});
