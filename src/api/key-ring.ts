/**
 * Keys in use (or logins, by their cookies), remembered for a moment so that a busy caller costs no query a request. Revoking reaches every gateway
 * at once (`forget`, when it is told), at the latest within the time a key is remembered; expiry is looked at on every request.
 */
import { createHash } from 'node:crypto';
import { findKey, type KnownKey } from '../operations/authenticate-key.js';
import { findLogin } from '../operations/logins.js';
import type { Principal } from '../operations/principal.js';
import type { Database } from '../store/database.js';

/** Finds the unrevoked key with this SHA-256 (hex) whose owner is enabled. */
export type FindKey = (sha256: string) => Promise<KnownKey | null>;

interface Remembered {
  readonly found: Promise<KnownKey | null>;
  readonly untilMs: number;
}

const REMEMBER_MS = 2_000;
const REMEMBER_AT_MOST = 10_000;
/** Shapes that cannot be keys, or logins, are refused unasked. */
const LOGIN_SHAPE = /^sbl_[A-Za-z0-9_-]{43}$/;
const KEY_SHAPE = /^sbx_[A-Za-z0-9_]{20,200}$/;

/** Those of a gateway: keys by their secrets, logins by their cookies. */
export const createKeyRings = (db: Database): { readonly keyRing: KeyRing; readonly loginRing: KeyRing } => ({
  keyRing: new KeyRing((sha256) => findKey(db, sha256)),
  loginRing: new KeyRing((sha256) => findLogin(db, sha256), Date.now, LOGIN_SHAPE),
});

export class KeyRing {
  private readonly remembered = new Map<string, Remembered>();

  constructor(
    private readonly find: FindKey,
    private readonly now: () => number = Date.now,
    private readonly shape: RegExp = KEY_SHAPE,
  ) {}

  /** Who holds this key, null when it is unknown, revoked or expired. @throws what the look-up throws */
  async principalOf(secret: string): Promise<Principal | null> {
    if (!this.shape.test(secret)) return null;
    const key = await this.look(createHash('sha256').update(secret).digest('hex'));
    if (key === null || (key.expiresAtMs !== null && key.expiresAtMs <= this.now())) return null;
    return key.principal;
  }

  /** After a change to keys or people: the next request asks anew. */
  forget(): void {
    this.remembered.clear();
  }

  private look(sha256: string): Promise<KnownKey | null> {
    const known = this.remembered.get(sha256);
    if (known !== undefined && known.untilMs > this.now()) return known.found;
    const found = this.find(sha256);
    this.remembered.delete(sha256);
    this.makeRoom();
    this.remembered.set(sha256, { found, untilMs: this.now() + REMEMBER_MS });
    // A look-up that failed (database away) is not an answer to remember.
    found.catch(() => this.remembered.delete(sha256));
    return found;
  }

  /** Oldest first, as a Map keeps its order: a flood of made-up keys cannot grow it. */
  private makeRoom(): void {
    if (this.remembered.size < REMEMBER_AT_MOST) return;
    for (const sha256 of this.remembered.keys()) {
      this.remembered.delete(sha256);
      if (this.remembered.size < REMEMBER_AT_MOST / 2) return;
    }
  }
}
