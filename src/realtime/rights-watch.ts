/**
 * Rights of what is open, sockets and streams: a key that is revoked, expires or is narrowed, a person who is disabled, a browser that
 * logs out. One question for all of them, at once when a change is told of, and every two seconds, as what is told may be lost.
 */
import { findKeysById } from '../operations/authenticate-key.js';
import type { Principal } from '../operations/principal.js';
import type { Database } from '../store/database.js';
import { openLogins } from '../store/logins.js';

/** Somebody who holds something open. */
export interface RightsHolder {
  /** Null: nobody's key; such a holder is never told of. */
  readonly keyId: string | null;
  /** Of a browser's login. */
  readonly loginHash: string | undefined;
  /** Told after each look; undefined: of no rights any more. */
  rightsAre(principal: Principal | undefined): void;
}

export interface RightsWatchOptions {
  readonly db: Database;
  /** How often to look without being told; 2,000 ms. */
  readonly everyMs?: number;
  readonly onError: (error: unknown) => void;
}

const EVERY_MS = 2_000;

export class RightsWatch {
  private readonly holders = new Set<RightsHolder>();
  private readonly timer: NodeJS.Timeout;
  private isLooking = false;
  /** Something has changed since the look that is under way began. */
  private isStale = false;

  constructor(private readonly options: RightsWatchOptions) {
    this.timer = setInterval(() => this.look(), options.everyMs ?? EVERY_MS).unref();
  }

  /** @returns what ends the watching */
  watch(holder: RightsHolder): () => void {
    this.holders.add(holder);
    return () => void this.holders.delete(holder);
  }

  /** Looks now. */
  look(): void {
    this.isStale = true;
    if (!this.isLooking) void this.lookWhileStale();
  }

  close(): void {
    clearInterval(this.timer);
    this.holders.clear();
  }

  private async lookWhileStale(): Promise<void> {
    this.isLooking = true;
    while (this.isStale) {
      this.isStale = false;
      // While PostgreSQL is away nothing is known, and nothing cut.
      await this.ask([...this.holders]).catch(this.options.onError);
    }
    this.isLooking = false;
  }

  /** Who comes while we ask is looked at next time. */
  private async ask(holders: readonly RightsHolder[]): Promise<void> {
    const keyIds = new Set(holders.flatMap(({ keyId }) => keyId ?? []));
    if (keyIds.size === 0) return;
    const { db } = this.options;
    const hashes = new Set(holders.flatMap(({ loginHash }) => loginHash ?? []));
    const [principals, logins] = await Promise.all([findKeysById(db, [...keyIds]), openLogins(db, [...hashes])]);
    for (const holder of holders) {
      const { keyId, loginHash } = holder;
      if (keyId === null || !this.holders.has(holder)) continue;
      holder.rightsAre(loginHash === undefined || logins.has(loginHash) ? principals.get(keyId) : undefined);
    }
  }
}
