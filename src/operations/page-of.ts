import type { Page, PageRequest } from '../store/page.js';

/** A page of a list that is short enough to be had whole: the cursor is the id of the last one shown. Pure. */
export function pageOf<T extends { readonly id: string }>(all: readonly T[], { limit, cursor }: PageRequest): Page<T> {
  const from = cursor === undefined ? 0 : all.findIndex((item) => item.id === cursor) + 1;
  const isUnknown = cursor !== undefined && from === 0;
  const items = isUnknown ? [] : all.slice(from, from + limit);
  const hasMore = !isUnknown && from + limit < all.length;
  return { items, cursor: hasMore ? (items.at(-1)?.id ?? null) : null, hasMore };
}
