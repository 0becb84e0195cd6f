/** A slug from a workflow's name: lower-case letters, digits and hyphens; undefined when the name has none of them. Pure. */
export function slugOf(name: string): string | undefined {
  const slug = name
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 80)
    .replaceAll(/^-+|-+$/g, '');
  return slug === '' ? undefined : slug;
}

/** The slug itself, then numbered ones: another name may give the same. Pure. */
export const slugCandidates = (name: string): readonly (string | null)[] => {
  const slug = slugOf(name);
  return slug === undefined ? [null] : [slug, ...Array.from({ length: 8 }, (_, index) => `${slug}-${index + 2}`), null];
};
