import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import * as door from '../../src/definition/index.js';
import * as runtime from '../../src/definition/runtime.js';

const SOURCE = join(__dirname, '../../src/definition');

/** Every file that a file imports for its values, at any depth, and the packages among them. */
function importsOf(
  file: string,
  seen = new Set<string>(),
  packages = new Set<string>(),
): { readonly files: ReadonlySet<string>; readonly packages: ReadonlySet<string> } {
  if (seen.has(file)) return { files: seen, packages };
  seen.add(file);
  for (const [, names = '', from = ''] of readFileSync(file, 'utf8').matchAll(/^(?:import|export) (?!type )([^;]*?) from '([^']+)';/gm)) {
    if (
      names.startsWith('{') &&
      names
        .slice(1, -1)
        .split(',')
        .every((name) => name.trim() === '' || name.trim().startsWith('type '))
    )
      continue;
    if (from.startsWith('.')) importsOf(join(dirname(file), from.replace(/\.js$/, '.ts')), seen, packages);
    else packages.add(from);
  }
  return { files: seen, packages };
}

describe('runtime.ts, the door into the workflow', () => {
  const { files, packages } = importsOf(join(SOURCE, 'runtime.ts'));
  it('leads to no package: no zod, acorn, ajv or node builtin', () => {
    expect([...packages]).toEqual([]);
    expect([...files].map((file) => relative(SOURCE, file))).toContain('expression/evaluate.ts');
  });
  it.each([...files].map((file) => relative(SOURCE, file)))('%s uses no clock, randomness, locale or host object', (file) => {
    const code = readFileSync(join(SOURCE, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    expect(code).not.toMatch(
      /Date\.now|new Date\(\)|Math\.random|localeCompare|toLocale|structuredClone|\bBuffer\b|\bprocess\.|performance\.|\beval\(|new Function/,
    );
    // Time zones need Intl; the evaluator asks for an activity before it comes to this.
    if (file !== 'expression/functions/date-fields.ts') expect(code).not.toMatch(/\bIntl\b/);
  });
  it('sees packages in the other door, so that this test could fail', () => {
    expect([...importsOf(join(SOURCE, 'index.ts')).packages].toSorted()).toEqual([
      'acorn',
      'ajv/dist/2020.js',
      'node:crypto',
      're2js',
      'zod',
    ]);
  });
});

describe('doors', () => {
  it('open', () => {
    expect(typeof door.compileDefinition).toBe('function');
    expect(typeof runtime.evaluate).toBe('function');
  });
});
