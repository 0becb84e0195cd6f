/** Results as people read them: lines for the terminal, a table for the docs, two of them side by side. Pure. */
import { isMet, type Figure } from './measure.js';
import type { Result } from './result-file.js';

/** Lines for the terminal. */
export function toLines(figures: readonly Figure[]): string[] {
  const head = ['ours p50', 'floor p50', 'ratio', 'ours p95', 'floor p95'];
  return [
    line('figure', head, 'unit, goal'),
    ...figures.map((figure) => line(figure.name, cellsOf(figure), [figure.unit, ...goalOf(figure)].join(', '))),
  ];
}

/** Rows of the table in docs/performance.md, with the line above it. */
export function toTable(result: Result): string[] {
  const load = result.load.length === 0 ? '' : `, load average at the start ${result.load.join(', ')}`;
  return [
    `Measured on ${result.at.slice(0, 10)} at ${result.commit}, ${result.cores} cores, Node ${result.node}${load}${result.quick ? ', a quick run' : ''}:`,
    '',
    '| figure | ours p50 | floor p50 | ratio | ours p95 | floor p95 | unit | goal |',
    '|---|---|---|---|---|---|---|---|',
    ...result.figures.map((figure) => {
      const [mine, floor, ratio, ...tails] = cellsOf(figure);
      const cells = [figure.name, mine, floor, ratio === '' ? '' : `**${ratio}**`, ...tails, figure.unit, goalOf(figure).join('')];
      return `| ${cells.join(' | ')} |`;
    }),
    ...Object.entries(result.failed).map(([section, why]) => `\n${section} failed: ${why}`),
  ];
}

export interface Comparison {
  readonly name: string;
  /** Ratios to the floor where both have one: the machine's mood is not in them. Else medians. */
  readonly of: 'ratio' | 'p50';
  readonly a: number | undefined;
  readonly b: number | undefined;
  /** b / a. */
  readonly change: number | undefined;
}

/** Every figure of either, in the order of `a`, then what only `b` has. */
export function compare(a: readonly Figure[], b: readonly Figure[]): Comparison[] {
  const names = new Set([...a, ...b].map(({ name }) => name));
  return [...names].map((name) => {
    const [one, other] = [a, b].map((figures) => figures.find((figure) => figure.name === name));
    const of = [one, other].every((figure) => figure === undefined || figure.ratio !== undefined) ? 'ratio' : 'p50';
    const [x, y] = [one, other].map((figure) => (of === 'ratio' ? figure?.ratio : figure?.ours.p50));
    // Of nothing there is no multiple.
    const change = x === undefined || y === undefined || x === 0 ? undefined : y / x;
    return { name, of, a: x, b: y, change };
  });
}

export function toComparison(a: Result, b: Result): string[] {
  const about = ({ at, commit, quick, load }: Result): string =>
    `${at} ${commit}${quick ? ' (quick)' : ''}${load.length === 0 ? '' : ` load ${load.join(' ')}`}`;
  return [
    `a: ${about(a)}`,
    `b: ${about(b)}`,
    line('figure', ['a', 'b', 'b / a'], 'of'),
    ...compare(a.figures, b.figures).map(({ name, of, a, b, change }) => line(name, [show(a), show(b), show(change)], of)),
  ];
}

function cellsOf({ ours, floor, ratio }: Figure): string[] {
  return [show(ours.p50), show(floor?.p50), ratio === undefined ? '' : ratio.toFixed(2), show(ours.p95), show(floor?.p95)];
}

function goalOf(figure: Figure): string[] {
  if (figure.goal === undefined) return [];
  const met = isMet(figure);
  return [met === undefined ? figure.goal : `${figure.goal} ${met ? '✓' : '✗'}`];
}

const line = (name: string, cells: readonly string[], last: string): string =>
  `${name.padEnd(52)}${cells.map((cell) => cell.padStart(11)).join('')}  ${last}`;

/** Two digits behind the point where they tell something. */
function show(value: number | undefined): string {
  if (value === undefined) return '';
  return value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}
