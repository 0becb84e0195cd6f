import { setImmediate as nextTurn } from 'node:timers/promises';
import { RE2JS } from 're2js';
import type { Json } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';
import { readText } from './read-text.js';
import { walk, type Entry } from './walk.js';
import { openToRead } from './workspace-path.js';

export interface GrepRequest {
  readonly workspace: string;
  /** A real folder or file of the workspace. */
  readonly from: string;
  readonly pattern: string;
  readonly ignoreCase: boolean;
  readonly matches: (relative: string) => boolean;
  readonly maxMatches: number;
  readonly signal: AbortSignal;
}

export const MAX_PATTERN = 500;
/** Files above this are passed over and told. */
const MAX_FILE_BYTES = 2 * 1024 * 1024;
const MAX_TOTAL_BYTES = 64 * 1024 * 1024;
const MAX_FILES = 20_000;
const LIMIT_MS = 15_000;
const SEARCHED_OF_LINE = 10_000;
const SHOWN_OF_LINE = 300;
const YIELD_MS = 5;

/**
 * Lines that match, file by file. Bounded in files, bytes, matches and time: the answer says when it is not all, and why. The
 * pattern is RE2's, which takes linear time whatever it says.
 */
export async function grep(request: GrepRequest, entries: AsyncIterable<Entry>): Promise<Json> {
  const search = new Search(request);
  for await (const entry of entries) {
    if (entry.type !== 'file' || !request.matches(entry.path)) continue;
    await search.look(entry);
    if (search.stopped !== null) break;
  }
  return search.answer();
}

export const entriesOf = (request: Pick<GrepRequest, 'workspace' | 'from' | 'signal'>): AsyncIterable<Entry> =>
  walk({ ...request, depth: 50 });

class Search {
  /** Why it does not look any further. */
  stopped: 'matches' | 'files' | 'bytes' | 'time' | null = null;
  private readonly found: { path: string; line: number; text: string }[] = [];
  private readonly passedOver: string[] = [];
  private readonly test: (line: string) => boolean;
  private readonly until = Date.now() + LIMIT_MS;
  private files = 0;
  private bytes = 0;
  private yieldedAt = performance.now();

  constructor(private readonly request: GrepRequest) {
    this.test = testOf(request);
  }

  async look(entry: Entry): Promise<void> {
    const text = await this.read(entry);
    if (text === null) return;
    let number = 0;
    for (const line of linesOf(text)) {
      number += 1;
      if (this.test(line.slice(0, SEARCHED_OF_LINE))) this.found.push({ path: entry.path, line: number, text: shown(line) });
      if (this.found.length >= this.request.maxMatches) this.stopped = 'matches';
      if (performance.now() - this.yieldedAt > YIELD_MS) await this.breathe();
      if (this.stopped !== null) return;
    }
  }

  answer(): Json {
    return {
      matches: this.found,
      files: this.files,
      complete: this.stopped === null,
      ...(this.stopped === null ? {} : { stoppedBy: this.stopped }),
      ...(this.passedOver.length === 0 ? {} : { tooLarge: this.passedOver.slice(0, 20) }),
    };
  }

  private async read(entry: Entry): Promise<string | null> {
    if (this.files >= MAX_FILES) this.stopped = 'files';
    else if (this.bytes >= MAX_TOTAL_BYTES) this.stopped = 'bytes';
    if (this.stopped !== null) return null;
    // Gone, or replaced by a link, since it was listed: not a file of this search.
    const handle = await openToRead(this.request.workspace, entry.path).catch(() => undefined);
    if (handle === undefined) return null;
    try {
      this.files += 1;
      const { bytes, text, isCut } = await readText(handle, MAX_FILE_BYTES);
      this.bytes += Math.min(bytes, MAX_FILE_BYTES);
      if (text !== null && isCut) this.passedOver.push(entry.path);
      return isCut ? null : text;
    } finally {
      await handle.close();
    }
  }

  /** The worker's heartbeats and other calls come first. */
  private async breathe(): Promise<void> {
    await nextTurn();
    this.request.signal.throwIfAborted();
    this.yieldedAt = performance.now();
    if (Date.now() > this.until) this.stopped = 'time';
  }
}

function testOf({ pattern, ignoreCase }: GrepRequest): (line: string) => boolean {
  if (!ignoreCase && !/[\\^$.*+?()[\]{}|]/.test(pattern)) return (line) => line.includes(pattern);
  try {
    const compiled = RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
    return (line) => compiled.matcher(line).find();
  } catch (error) {
    throw new StepFault('tool_failed', `The pattern is not RE2's: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Without splitting the whole text at once. */
function* linesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    const line = text.slice(start, end < 0 ? text.length : end);
    yield line.endsWith('\r') ? line.slice(0, -1) : line;
    if (end < 0) return;
    start = end + 1;
  }
}

const shown = (line: string): string => (line.length > SHOWN_OF_LINE ? `${line.slice(0, SHOWN_OF_LINE)}…` : line);
