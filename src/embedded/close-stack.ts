/** A part that was opened. Its `stop` may be called again. */
export interface Stoppable {
  stop(): Promise<void>;
  /** Ends it at once. */
  kill?(): void;
  /** Said to every part before the first is stopped: from now on its end is no failure. */
  hold?(): void;
}

/** What start-up opens, shutdown closes, in reverse order; also when shutdown comes while start-up is still going on. */
export class CloseStack {
  private readonly opened: { readonly name: string; readonly part: Stoppable }[] = [];
  private isClosing = false;

  constructor(private readonly log: (line: string) => void) {}

  /** @throws when shutdown has begun: what was opened just now is closed again, and start-up must not go on */
  async push(name: string, part: Stoppable): Promise<void> {
    this.opened.push({ name, part });
    if (!this.isClosing) return;
    await this.closeAll();
    throw new Error('stopped while starting');
  }

  /** One that fails to close is reported; the rest are closed all the same. */
  async closeAll(): Promise<void> {
    this.isClosing = true;
    for (const { part } of this.opened) part.hold?.();
    for (let last = this.opened.at(-1); last !== undefined; last = this.opened.at(-1)) {
      try {
        await last.part.stop();
      } catch (error) {
        this.log(`${last.name} did not stop cleanly: ${error instanceof Error ? error.message : String(error)}`);
      }
      // Only now: until it is closed, killAll must reach it.
      const at = this.opened.indexOf(last);
      if (at >= 0) this.opened.splice(at, 1);
    }
  }

  /** Ends at once what has not been closed. */
  killAll(): void {
    for (const { part } of this.opened.toReversed()) part.kill?.();
  }
}
