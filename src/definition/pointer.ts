/** JSON pointers (RFC 6901). Pure; may run in the workflow. */
export type Segment = string | number;

/** One token as it stands in a pointer: `~` and `/` escaped. */
export function escapeToken(segment: Segment): string {
  if (typeof segment === 'number') return String(segment);
  return segment.includes('~') || segment.includes('/') ? segment.replaceAll('~', '~0').replaceAll('/', '~1') : segment;
}

/** `/a/0` for `['a', 0]`; `''` (the whole) for no segments. */
export const toPointer = (segments: readonly Segment[]): string => segments.map((segment) => `/${escapeToken(segment)}`).join('');

/** The segments of a pointer, all as text. */
export function parsePointer(pointer: string): string[] {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}
