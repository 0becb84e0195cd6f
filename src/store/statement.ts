/** One SQL text under the name by which PostgreSQL keeps its plan. Names are unique in the store. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export const statement = (name: string, text: string): Statement => ({ name, text });

/** Whoever runs statements: the pool, or a transaction. */
export interface Queryable {
  rows<R extends object>(statement: Statement, values: readonly unknown[]): Promise<R[]>;
}

/** A row of `pg` under the names of the Prisma model, which the caller states. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- a claim of the caller's about its own SQL, as in pg's own query<R>
export function camelRow<T extends object>(row: object): T {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [camelName(name), value])) as T;
}

const names = new Map<string, string>();

function camelName(name: string): string {
  let camel = names.get(name);
  if (camel === undefined) {
    camel = name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    names.set(name, camel);
  }
  return camel;
}
