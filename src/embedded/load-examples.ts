/** The example workflows of examples/, and the personas that they name, saved through the API like anybody's. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** A sync body, or a bare definition. */
const ExampleSchema = z.looseObject({ name: z.string(), data: z.unknown().optional() });

export interface LoadExamplesOptions {
  /** Holds *.json, and personas/*.json; absent: nothing to load. */
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
  const files = [...jsonIn(folder, PERSONAS), ...jsonIn(folder, '')];
  const loaded = new Set(readJournal(journal));
  let saved = 0;
  for (const file of files) {
    if (loaded.has(file)) continue;
    const [path, send] = file.startsWith(PERSONAS) ? toPersona(file) : SYNC;
    const refusal = await save(join(folder, file), `${baseUrl}${path}`, apiKey, send);
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

const PERSONAS = 'personas/';

/** Names in the folder, within `under`, in order. */
function jsonIn(folder: string, under: string): string[] {
  const place = join(folder, under);
  const names = existsSync(place) ? readdirSync(place).filter((name) => name.endsWith('.json')) : [];
  return names.toSorted().map((name) => `${under}${name}`);
}

interface Send {
  readonly method: 'POST' | 'PUT';
  readonly toBody: (example: z.infer<typeof ExampleSchema>) => object;
}
const SYNC: [string, Send] = [
  '/api/workflows/sync',
  { method: 'POST', toBody: (example) => (example.data === undefined ? { name: example.name, data: example } : example) },
];
const toPersona = (file: string): [string, Send] => [
  `/api/personas/${encodeURIComponent(file.slice(PERSONAS.length, -'.json'.length))}`,
  { method: 'PUT', toBody: (persona) => persona },
];

/** @returns why not, undefined when it is saved */
async function save(file: string, url: string, apiKey: string, { method, toBody }: Send): Promise<string | undefined> {
  try {
    const body = toBody(ExampleSchema.parse(JSON.parse(readFileSync(file, 'utf8'))));
    const response = await fetch(url, {
      method,
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
