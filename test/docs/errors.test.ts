import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { statusOf } from '../../src/api/problem.js';
import type { ErrorCode } from '../../src/errors.js';
import { readDocument, ROOT, sectionOf } from './readme-blocks.js';

const PAGE = readDocument('docs/errors.md');

/** The cells of each row whose first cell is a code. */
function rowsOf(heading: string): ReadonlyMap<string, readonly string[]> {
  const rows = [...sectionOf(PAGE, heading).matchAll(/^\| `([^`]+)` \|(.*)\|$/gm)];
  return new Map(rows.map((match) => [match[1] ?? '', (match[2] ?? '').split('|').map((cell) => cell.trim())]));
}

/** What types alone name: read from the source, as nothing of it is left at run time. */
function namesIn(path: string, from: RegExp, name: RegExp): readonly string[] {
  const block = from.exec(readDocument(path))?.[1];
  if (block === undefined) throw new Error(`${path} has no ${String(from)}`);
  return [...block.matchAll(name)].map((match) => match[1] ?? '');
}

const sourcesIn = (folder: string): readonly string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readDocument(join(folder, file)));

/** Codes that a step's failure is made with, wherever that happens. */
const thrownBySteps = (): readonly string[] =>
  ['src/activities', 'src/engine', 'src/tools']
    .flatMap(sourcesIn)
    .flatMap((source) => [...source.matchAll(/(?:StepFault|stepError|ExpressionError)\(\s*'([a-z_]+)'/g)].map((match) => match[1] ?? ''));

/** The list that design and reference fix for steps and executions. */
const PROMISED = [
  'expression_error',
  'step_timeout',
  'tool_unknown',
  'tool_denied',
  'tool_failed',
  'http_<status>',
  'http_unreachable',
  'http_timeout',
  'http_blocked',
  'http_too_large',
  'bash_exit_code',
  'bash_timeout',
  'bash_disabled',
  'loop_over_not_array',
  'loop_limit_exceeded',
  'max_steps_exceeded',
  'max_duration_exceeded',
  'depth_exceeded',
  'event_timeout',
  'approval_denied',
  'approval_expired',
  'subworkflow_failed',
  'subworkflow_not_found',
  'notify_failed',
  'outcome_unknown',
  'execution_terminated',
  'secret_not_found',
  'budget_exceeded',
  'stopped',
  'internal_error',
  'agent_prompt_structured_output_invalid',
  'agent_prompt_empty_response',
  'agent_prompt_persona_not_found',
  'agent_prompt_question_not_supported',
  'agent_prompt_timeout',
  'agent_prompt_model_error',
  'agent_prompt_max_turns',
] as const;

describe('docs/errors.md', () => {
  it('has an entry for every code of the API, with its status, and no other', () => {
    const codes = namesIn('src/errors.ts', /interface ErrorDataByCode \{([\s\S]*?)\n\}/, /^ {2}([a-z_]+):/gm);
    const rows = rowsOf('The API');
    const documented = new Map(codes.map((code) => [code, rows.get(code)?.[0]]));
    expect(codes.length).toBeGreaterThan(30);
    expect(documented).toEqual(new Map(codes.map((code) => [code, String(statusOf(code as ErrorCode))])));
    expect(
      [...rows]
        .filter(([, cells]) => /^\d{3}$/.test(cells[0] ?? ''))
        .map(([code]) => code)
        .filter((code) => !codes.includes(code)),
    ).toEqual([]);
  });

  it('has an entry for every problem, and no other', () => {
    const codes = namesIn('src/definition/problem.ts', /type ProblemCode =([\s\S]*?);/, /'([a-z_]+)'/g);
    const rows = [...rowsOf('Problems').keys()];
    expect(codes.length).toBeGreaterThan(20);
    expect(rows).toEqual(expect.arrayContaining([...codes]));
    // Of requests about what is no definition: an approval's answer, a test run's mocks.
    expect(rows.filter((code) => !codes.includes(code))).toEqual(['answer_invalid', 'form_invalid', 'unknown_step']);
  });

  it('has an entry for every code that a step or execution is promised to fail with', () => {
    expect([...rowsOf('Steps and executions').keys()]).toEqual(expect.arrayContaining([...PROMISED]));
  });

  it('has an entry for every code that steps are made to fail with', () => {
    const thrown = thrownBySteps();
    expect(thrown.length).toBeGreaterThan(40);
    expect([...rowsOf('Steps and executions').keys()]).toEqual(expect.arrayContaining(thrown));
  });

  it('has an entry for every reason of a refused rerun', () => {
    const reasons = namesIn('src/engine/rerun-refusal.ts', /interface RerunRefusal \{([\s\S]*?)\n\}/, /'([a-z_]+)'/g);
    const told = [...readDocument('src/operations/rerun-execution.ts').matchAll(/reason: '([a-z_]+)'/g)].map((match) => match[1] ?? '');
    expect([...rowsOf('The API').keys()]).toEqual(expect.arrayContaining([...reasons, ...told]));
  });
});
