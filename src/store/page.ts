/** One page of a list, newest first unless said otherwise. `cursor` asks for the next; null at the end. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly cursor: string | null;
  readonly hasMore: boolean;
}

/** Where a page starts: behind this row. Lists sort by `createdAt, id`. */
export interface Position {
  readonly createdAt: Date;
  readonly id: string;
}

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string;
}

/** The position that a cursor stands for; undefined when it is none of ours. Pure. */
export function parseCursor(cursor: string): Position | undefined {
  const [time, id, ...rest] = Buffer.from(cursor, 'base64url').toString('utf8').split('|');
  const createdAt = new Date(Number(time));
  if (id === undefined || id === '' || rest.length > 0 || Number.isNaN(createdAt.getTime())) return undefined;
  return { createdAt, id };
}

const cursorAt = ({ createdAt, id }: Position): string => Buffer.from(`${createdAt.getTime()}|${id}`, 'utf8').toString('base64url');

/** The page of rows that were read with one more than the limit. Pure. */
export function toPage<R extends Position, T>(rows: readonly R[], limit: number, toItem: (row: R) => T): Page<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const hasMore = rows.length > limit;
  return { items: shown.map(toItem), cursor: hasMore && last !== undefined ? cursorAt(last) : null, hasMore };
}

/** Prisma's condition for rows behind the cursor, newest first. A cursor that is none of ours finds nothing. Pure. */
export function behind(cursor: string | undefined): { OR?: object[]; id?: string } {
  if (cursor === undefined) return {};
  const position = parseCursor(cursor);
  if (position === undefined) return { id: '' };
  return { OR: [{ createdAt: { lt: position.createdAt } }, { createdAt: position.createdAt, id: { lt: position.id } }] };
}

export const NEWEST_FIRST: { createdAt?: 'desc'; id?: 'desc' }[] = [{ createdAt: 'desc' }, { id: 'desc' }];
