interface Opened {
  readonly name: string;
  readonly close: () => Promise<void>;
  readonly kill: () => void;
}

/** What start-up opens, shutdown closes, in reverse order; also when shutdown comes while start-up is still going on. */
export class CloseStack {
  private readonly opened: Opened[] = [];
  private isClosing = false;

  constructor(private readonly log: (line: string) => void) {}

  /** @throws when shutdown has begun: what was opened just now is closed again, and start-up must not go on */
  async push(name: string, close: () => Promise<void>, kill: () => void = () => {}): Promise<void> {
    this.opened.push({ name, close, kill });
    if (!this.isClosing) return;
    await this.closeAll();
    throw new Error('stopped while starting');
  }

  /** One that fails to close is reported; the rest are closed all the same. */
  async closeAll(): Promise<void> {
    this.isClosing = true;
    for (let part = this.opened.at(-1); part !== undefined; part = this.opened.at(-1)) {
      try {
        await part.close();
      } catch (error) {
        this.log(`${part.name} did not stop cleanly: ${error instanceof Error ? error.message : String(error)}`);
      }
      // Only now: until it is closed, killAll must reach it.
      const at = this.opened.indexOf(part);
      if (at >= 0) this.opened.splice(at, 1);
    }
  }

  /** Ends at once what has not been closed. */
  killAll(): void {
    for (const { kill } of this.opened.toReversed()) kill();
  }
}
