/**
 * What agents say is kept out of Temporal's histories: the engine knows it by references without a preview (definition/private-ref.ts). Readers
 * see it in its place: events when they are written, rows when they are read.
 */
import { isPrivate } from '../definition/private-ref.js';
import { replaceRefs, toDisplay, withRefs } from '../definition/value-parts.js';
import { LARGE_VALUE_BYTES } from '../definition/json-size.js';
import type { Json, Ref, Value } from '../definition/value.js';
import type { EngineEvent } from '../engine/types.js';
import { instanceKey } from './ids.js';
import type { Queryable } from './statement.js';
import { statement } from './statement.js';

interface Stored {
  readonly preview: string;
  readonly json: Json | undefined;
}
type Lookup = ReadonlyMap<string, Stored>;

const OF_RUN = statement(
  'private_values_of_run',
  `SELECT v.id, v.preview, CASE WHEN v.bytes <= $3 THEN v.body END AS body FROM "values" v JOIN executions e ON e.id = $1 AND e.owner_id = v.owner_id
   WHERE v.id = ANY($2)`,
);
const INPUT = statement('input_of_step', 'SELECT input FROM steps WHERE execution_id = $1 AND instance_key = $2');

const privateRefs = (value: Value | null | undefined): string[] =>
  Object.values(value?.refs ?? {})
    .filter(isPrivate)
    .map(({ ref }) => ref);

/** Whether readers see something else in its place. */
export const hasPrivate = (value: Value): boolean => privateRefs(value).length > 0;

/** Values of one execution with small private parts in their place; large ones have their preview again. In order. */
export async function shownOfRun(
  db: Queryable,
  executionId: string,
  values: readonly (Value | null)[],
): Promise<readonly (Value | null)[]> {
  const wanted = values.flatMap(privateRefs);
  if (wanted.length === 0) return values;
  const stored = await look(db, executionId, wanted);
  return values.map((value) => (value === null ? null : shown(value, stored)));
}

async function look(db: Queryable, executionId: string, refs: readonly string[]): Promise<Lookup> {
  const rows = await db.rows<{ id: string; preview: string; body: string | null }>(OF_RUN, [
    executionId,
    [...new Set(refs)],
    LARGE_VALUE_BYTES,
  ]);
  return new Map(
    rows.map(({ id, preview, body }) => [id, { preview, json: body === null ? undefined : (JSON.parse(body) as Json) }] as const),
  );
}

/** Of one value so much is put in its place; the rest stays by reference. */
const SHOWN_BYTES = 256 * 1024;

function shown(value: Value, stored: Lookup): Value {
  const refs: [string, Ref][] = [];
  const inline: [string, Ref][] = [];
  let bytes = 0;
  for (const [pointer, ref] of Object.entries(value.refs ?? {})) {
    const known = isPrivate(ref) ? stored.get(ref.ref) : undefined;
    if (known?.json !== undefined && bytes + ref.bytes <= SHOWN_BYTES) {
      bytes += ref.bytes;
      inline.push([pointer, ref]);
    } else refs.push([pointer, known === undefined ? ref : { ...ref, preview: known.preview }]);
  }
  const v = replaceRefs({ v: value.v, refs: Object.fromEntries(inline) }, ({ ref }) => stored.get(ref)?.json ?? null);
  return withRefs(v, Object.fromEntries(refs));
}

/** Events as readers shall see them. What the rows keep stays as it is: a rerun, or a parent, goes on from there. */
export async function shownEvents(db: Queryable, executionId: string, events: readonly EngineEvent[]): Promise<readonly EngineEvent[]> {
  if (!hasHidden(events)) return events;
  const stored = await look(
    db,
    executionId,
    events.flatMap(({ record }) => [...privateRefs(record?.input), ...privateRefs(record?.output)]),
  );
  return await Promise.all(events.map(async (event) => (needsShowing(event) ? await shownEvent(db, executionId, event, stored) : event)));
}

/** Whether readers would see less than there is. */
export const hasHidden = (events: readonly EngineEvent[]): boolean => events.some(needsShowing);

const isAgentEnd = ({ kind, stepType, data, record }: EngineEvent): boolean =>
  stepType === 'agent_prompt' &&
  (kind === 'step.completed' || kind === 'step.failed') &&
  data['input'] === undefined &&
  record?.seeded !== true;

const needsShowing = (event: EngineEvent): boolean =>
  isAgentEnd(event) || privateRefs(event.record?.output).length > 0 || privateRefs(event.record?.input).length > 0;

async function shownEvent(db: Queryable, executionId: string, event: EngineEvent, stored: Lookup): Promise<EngineEvent> {
  const { input, output } = event.record ?? {};
  const data = {
    ...(isAgentEnd(event) ? await inputOf(db, executionId, event) : {}),
    ...event.data,
    ...(input === undefined || event.data['input'] === undefined ? {} : { input: toDisplay(shown(input, stored)) }),
    ...(output === undefined || event.data['output'] === undefined ? {} : { output: toDisplay(shown(output, stored)) }),
  };
  return { ...event, data };
}

/** An agent's prompt was filled where the engine does not see it. */
async function inputOf(db: Queryable, executionId: string, { instance }: EngineEvent): Promise<{ readonly input?: Json }> {
  if (instance === null) return {};
  const [row] = await db.rows<{ input: Value | null }>(INPUT, [executionId, instanceKey(instance)]);
  return row?.input == null ? {} : { input: toDisplay(row.input) };
}

/** Step rows for readers. */
export async function shownSteps<R extends { readonly executionId: string; readonly input: Value | null; readonly output: Value | null }>(
  db: Queryable,
  rows: readonly R[],
): Promise<readonly R[]> {
  return await perExecution(
    rows,
    ({ executionId }) => executionId,
    async (id, some) => {
      const values = await shownOfRun(
        db,
        id,
        some.flatMap(({ input, output }) => [input, output]),
      );
      return some.map((row, index) => ({ ...row, input: values[2 * index] ?? null, output: values[2 * index + 1] ?? null }));
    },
  );
}

/** Rows of executions for readers. */
export async function shownExecutions<
  R extends { readonly id: string; readonly output: Value | null; readonly variables: { readonly [name: string]: Value } },
>(db: Queryable, rows: readonly R[]): Promise<readonly R[]> {
  return await perExecution(
    rows,
    ({ id }) => id,
    async (id, some) =>
      await Promise.all(
        some.map(async (row) => {
          const names = Object.keys(row.variables);
          const [output = null, ...values] = await shownOfRun(db, id, [row.output, ...Object.values(row.variables)]);
          return { ...row, output, variables: Object.fromEntries(names.map((name, index) => [name, values[index] ?? { v: null }])) };
        }),
      ),
  );
}

/** Most rows have nothing private, and are given back as they are. */
async function perExecution<R extends object>(
  rows: readonly R[],
  idOf: (row: R) => string,
  show: (id: string, rows: readonly R[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  const hidden = new Map<string, R[]>();
  for (const row of rows) if (holdsPrivate(row)) hidden.set(idOf(row), [...(hidden.get(idOf(row)) ?? []), row]);
  const replaced = new Map<R, R>();
  for (const [id, some] of hidden) {
    const seen = await show(id, some);
    some.forEach((row, index) => replaced.set(row, seen[index] ?? row));
  }
  return rows.map((row) => replaced.get(row) ?? row);
}

function holdsPrivate(row: object): boolean {
  const { input, output, variables } = row as {
    input?: Value | null;
    output?: Value | null;
    variables?: { readonly [name: string]: Value };
  };
  return [input, output, ...Object.values(variables ?? {})].some((value) => privateRefs(value).length > 0);
}
