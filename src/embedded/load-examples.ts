/** The example workflows of examples/, saved through the API like anybody's. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** A sync body, or a bare definition. */
const ExampleSchema = z.looseObject({ name: z.string(), data: z.unknown().optional() });

export interface LoadExamplesOptions {
  /** Holds *.json; absent: nothing to load. */
  readonly folder: string;
  /** Of the gateway. */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Remembers the names loaded, so that one a user edited or deleted is not put back by the next start. */
  readonly journal: string;
  readonly log: (line: string) => void;
}

/** Saves each example once per data folder. One that is refused is reported, the rest go on. @returns how many were saved */
export async function loadExamples({ folder, baseUrl, apiKey, journal, log }: LoadExamplesOptions): Promise<number> {
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
  const loaded = new Set(readJournal(journal));
  let saved = 0;
  for (const file of files.toSorted()) {
    if (loaded.has(file)) continue;
    const refusal = await save(join(folder, file), baseUrl, apiKey);
    if (refusal !== undefined) {
      log(`the example ${file} was not loaded: ${refusal}`);
      continue;
    }
    loaded.add(file);
    saved += 1;
    writeFileSync(journal, `${JSON.stringify([...loaded])}\n`);
  }
  return saved;
}

/** @returns why not, undefined when it is saved */
async function save(file: string, baseUrl: string, apiKey: string): Promise<string | undefined> {
  try {
    const example = ExampleSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    const body = example.data === undefined ? { name: example.name, data: example } : example;
    const response = await fetch(`${baseUrl}/api/workflows/sync`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
    return response.ok ? undefined : `${response.status} ${(await response.text()).slice(0, 500)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function readJournal(path: string): string[] {
  try {
    return z.array(z.string()).parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return [];
  }
}
