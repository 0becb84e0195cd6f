/** A hint is not worth more. */
const MAX_CANDIDATES = 300;

/** The candidate nearest to a mistyped name, by edit distance; undefined when none is near. Pure. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > 64) return undefined;
  let best: string | undefined;
  let bestDistance = Math.floor((name.length + 1) / 3) + 1;
  let looked = 0;
  for (const candidate of candidates) {
    looked += 1;
    if (looked > MAX_CANDIDATES) break;
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      let best = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      if ((row[j] as number) < best) best = (row[j] as number) + 1;
      if ((next[j - 1] as number) < best) best = (next[j - 1] as number) + 1;
      next.push(best);
    }
    row = next;
  }
  return row[to.length] as number;
}

/** `Did you mean "x"?`, or nothing. */
export function didYouMean(name: string, candidates: Iterable<string>): string | undefined {
  const near = nearest(name, candidates);
  return near === undefined ? undefined : `Did you mean "${near}"?`;
}
