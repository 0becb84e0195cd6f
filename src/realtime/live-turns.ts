/**
 * The texts that stream in one session, as far as this gateway has told them. Deltas arrive twice, late, out of turn or not at all; what
 * goes on from here is each character once, in order. Gaps are filled from the message's row, where the writer checkpoints.
 */
import type { Delta } from '../store/deltas.js';

/** A turn as an event or its row tells it. `texts`: the text of each text part by its index. */
export interface TurnState {
  readonly turnId: string;
  readonly attempt: number;
  readonly isOpen: boolean;
  readonly texts: ReadonlyMap<number, string>;
}

export interface LiveTurnsOptions {
  /** The turn as its row has it; undefined when there is none. */
  readonly find: (turnId: string) => Promise<TurnState | undefined>;
  /** The log may hold what tells of an unknown turn: read it now. */
  readonly lookAtLog: () => void;
  /** The next piece of a text, for everybody who listens. */
  readonly emit: (delta: Delta) => void;
  /** A delta of a turn that nobody knows, not even its row. */
  readonly onDropped: (delta: Delta) => void;
  /** How long to wait before the row is asked (again); 250 ms, the writer's checkpoints. */
  readonly retryMs?: number;
  /** A text that has not grown for so long has all of itself in its row; 1,250 ms. */
  readonly quietMs?: number;
}

interface LiveTurn {
  readonly turnId: string;
  readonly attempt: number;
  readonly texts: Map<number, string>;
  /** Pieces behind a gap. */
  ahead: Delta[];
  isFetching: boolean;
  /** When the text last grew. */
  grownAtMs: number;
  /** Its end may have been lost on the way. */
  isUnsure: boolean;
  /** It was taken from a row: what its writer had told before is lost to us, and in the row soon. */
  isFromRow: boolean;
}

const QUIET_MS = 1_250;
const RETRY_MS = 250;
/** Of a turn that no row knows, and of a gap that no checkpoint fills: about ten seconds. */
const MAX_TRIES = 40;
const MAX_TRIES_UNKNOWN = 4;
const MAX_AHEAD = 500;
const MAX_ENDED = 1_000;

export class LiveTurns {
  private readonly turns = new Map<string, LiveTurn>();
  private readonly unknown = new Map<string, Delta[]>();
  private readonly ended = new Set<string>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private watch: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(private readonly options: LiveTurnsOptions) {}

  /** The texts of an open turn so far. */
  textsOf(turnId: string): ReadonlyMap<number, string> | undefined {
    return this.turns.get(turnId)?.texts;
  }

  /** Every open turn. */
  *open(): Iterable<{ readonly turnId: string; readonly attempt: number; readonly texts: ReadonlyMap<number, string> }> {
    yield* this.turns.values();
  }

  /** A delta has arrived. */
  take(delta: Delta): void {
    if (this.isClosed || this.ended.has(delta.turnId)) return;
    const turn = this.turns.get(delta.turnId);
    if (turn !== undefined) this.apply(turn, delta);
    else this.hold(delta);
  }

  /** Readers have just been told of this state by an event: what it has is known to them. */
  tell(state: TurnState): void {
    this.learn(state, (turn, part, text) => void turn.texts.set(part, text));
  }

  /** A row has this state: what it has beyond ours is told as a delta. */
  adopt(state: TurnState): void {
    const isNew = !this.turns.has(state.turnId);
    this.learn(state, (turn, part, text) => this.extend(turn, part, text));
    const turn = this.turns.get(state.turnId);
    if (isNew && turn !== undefined) turn.isFromRow = true;
  }

  close(): void {
    this.isClosed = true;
    clearInterval(this.watch);
    for (const timer of this.timers) clearTimeout(timer);
    this.turns.clear();
    this.unknown.clear();
  }

  private get retryMs(): number {
    return this.options.retryMs ?? RETRY_MS;
  }

  private learn(state: TurnState, longer: (turn: LiveTurn, part: number, text: string) => void): void {
    if (this.isClosed || this.ended.has(state.turnId)) return;
    if (!state.isOpen) {
      this.end(state.turnId);
      return;
    }
    const turn = this.turns.get(state.turnId) ?? this.begin(state);
    for (const [part, text] of state.texts) if (text.length > lengthOf(turn, part)) longer(turn, part, text);
    const held = this.unknown.get(state.turnId) ?? [];
    this.unknown.delete(state.turnId);
    for (const delta of held) this.apply(turn, delta);
    this.applyAhead(turn);
  }

  private begin({ turnId, attempt }: TurnState): LiveTurn {
    const turn: LiveTurn = {
      turnId,
      attempt,
      texts: new Map(),
      ahead: [],
      isFetching: false,
      grownAtMs: Date.now(),
      isUnsure: true,
      isFromRow: false,
    };
    this.turns.set(turnId, turn);
    this.watch ??= setInterval(() => this.lookAtQuiet(), this.retryMs).unref();
    return turn;
  }

  /**
   * The last pieces before a pause leave no gap behind them when they are lost. A text that has become quiet is compared with its row,
   * once; one that was taken from its row, also after the next checkpoint.
   */
  private lookAtQuiet(): void {
    const now = Date.now();
    for (const turn of this.turns.values()) {
      if (now - turn.grownAtMs < this.retryMs || turn.isFetching) continue;
      if (turn.isFromRow) turn.isFromRow = false;
      else if (turn.isUnsure && now - turn.grownAtMs >= (this.options.quietMs ?? QUIET_MS)) turn.isUnsure = false;
      else continue;
      void this.find(turn.turnId).then((state) => {
        if (state?.isOpen === true && this.turns.get(turn.turnId) === turn) this.adopt(state);
      });
    }
    if (this.turns.size > 0) return;
    clearInterval(this.watch);
    this.watch = undefined;
  }

  /** Nothing follows; what still arrives is late. */
  private end(turnId: string): void {
    this.turns.delete(turnId);
    this.unknown.delete(turnId);
    this.ended.add(turnId);
    for (const oldest of this.ended) {
      if (this.ended.size <= MAX_ENDED) break;
      this.ended.delete(oldest);
    }
  }

  private apply(turn: LiveTurn, delta: Delta): void {
    if (delta.attempt !== turn.attempt) return;
    const length = lengthOf(turn, delta.part);
    if (delta.offset + delta.text.length <= length) return;
    if (delta.offset > length) {
      if (turn.ahead.length < MAX_AHEAD) turn.ahead.push(delta);
      void this.fill(turn);
      return;
    }
    this.append(turn, delta.offset === length ? delta : { ...delta, offset: length, text: delta.text.slice(length - delta.offset) });
  }

  private append(turn: LiveTurn, delta: Delta): void {
    turn.texts.set(delta.part, (turn.texts.get(delta.part) ?? '') + delta.text);
    turn.grownAtMs = Date.now();
    turn.isUnsure = true;
    this.options.emit(delta);
  }

  private extend(turn: LiveTurn, part: number, text: string): void {
    const offset = lengthOf(turn, part);
    this.append(turn, { sessionId: '', turnId: turn.turnId, attempt: turn.attempt, part, offset, text: text.slice(offset) });
  }

  private applyAhead(turn: LiveTurn): void {
    const ahead = turn.ahead.toSorted((a, b) => a.part - b.part || a.offset - b.offset);
    turn.ahead = [];
    for (const delta of ahead) this.apply(turn, delta);
  }

  /** Reads the row until its checkpoint has closed the gap, or an event has. */
  private async fill(turn: LiveTurn): Promise<void> {
    if (turn.isFetching) return;
    turn.isFetching = true;
    for (let tries = 0; tries < MAX_TRIES && turn.ahead.length > 0 && this.turns.get(turn.turnId) === turn; tries++) {
      const state = await this.find(turn.turnId);
      // An end is told by its event, which has the whole text.
      if (state?.isOpen === true) this.adopt(state);
      if (turn.ahead.length > 0) await this.pause();
    }
    turn.ahead = [];
    turn.isFetching = false;
  }

  /** Its event is on its way, or was read before we began; or there is no such turn. */
  private hold(delta: Delta): void {
    const held = this.unknown.get(delta.turnId);
    if (held !== undefined) {
      if (held.length < MAX_AHEAD) held.push(delta);
      return;
    }
    this.unknown.set(delta.turnId, [delta]);
    this.options.lookAtLog();
    void this.recover(delta);
  }

  private async recover(delta: Delta): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES_UNKNOWN; tries++) {
      await this.pause();
      if (!this.unknown.has(delta.turnId) || this.isClosed) return;
      const state = await this.find(delta.turnId);
      if (state === undefined) continue;
      this.adopt(state);
      return;
    }
    this.unknown.delete(delta.turnId);
    this.options.onDropped(delta);
  }

  /** A read that fails (database away) is as good as none. */
  private find(turnId: string): Promise<TurnState | undefined> {
    return this.options.find(turnId).catch(() => undefined);
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.timers.delete(timer);
        resolve();
      }, this.retryMs);
      this.timers.add(timer);
    });
  }
}

const lengthOf = (turn: LiveTurn, part: number): number => turn.texts.get(part)?.length ?? 0;
