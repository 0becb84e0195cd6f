/** `files:*`: the run's workspace as text files. */
import { lstat, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Json } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';
import { defineTool, type Tool, type ToolCall, type ToolOf } from '../tool.js';
import { CHECK_OUT_LIMIT_MS } from '../workspace/check-out.js';
import { workspaceIdOf } from '../workspace/workspace-call.js';
import type { Workspaces } from '../workspace/workspaces.js';
import { editText } from './edit-text.js';
import { parseGlob } from './glob.js';
import { entriesOf, grep, MAX_PATTERN } from './grep.js';
import { pageOfLines } from './lines.js';
import { MAX_READ_BYTES, readText } from './read-text.js';
import { walk, type Entry } from './walk.js';
import { openToRead, openToWrite, realPlace, toFault } from './workspace-path.js';

const MAX_CONTENT = 1024 * 1024;
const MAX_ENTRIES = 1_000;
/** Of the work itself; the first call of a run also makes its workspace. */
const OWN_LIMIT_MS = 30_000;

const Path = z.string().min(1).max(4_096).describe('Below the workspace, such as src/app.ts');
const Folder = z.string().max(4_096).default('').describe('Folder of the workspace; its top when absent');
const Glob = z.string().min(1).max(300).optional().describe('Such as *.ts or src/**/*.ts');

const ReadParameters = z.strictObject({
  path: Path,
  offset: z.int().min(1).default(1).describe('First line'),
  limit: z.int().min(1).max(10_000).default(2_000).describe('Lines at most'),
});
const WriteParameters = z.strictObject({ path: Path, content: z.string().max(MAX_CONTENT) });
const EditParameters = z.strictObject({
  path: Path,
  oldText: z.string().min(1).max(MAX_CONTENT).describe('Exactly as it stands in the file, and only once unless replaceAll'),
  newText: z.string().max(MAX_CONTENT),
  replaceAll: z.boolean().default(false),
});
const ListParameters = z.strictObject({ path: Folder, depth: z.int().min(1).max(20).default(1), glob: Glob });
const GrepParameters = z.strictObject({
  pattern: z.string().min(1).max(MAX_PATTERN).describe('Regular expression (RE2), line by line'),
  path: Folder.describe('Folder or file'),
  glob: Glob,
  ignoreCase: z.boolean().default(false),
  maxMatches: z.int().min(1).max(1_000).default(200),
});

/** @param workspaces undefined in a process that has none: there the tools are known, and say where they can be called */
export function createFilesTools(workspaces: Workspaces | undefined): readonly Tool[] {
  const tool = <P extends { readonly path: string }>(
    own: Omit<ToolOf<P>, 'risk' | 'light' | 'queue' | 'limitMs' | 'run'> & { run(p: P, workspace: string, call: ToolCall): Promise<Json> },
  ) =>
    defineTool<P>({
      ...own,
      risk: 'low',
      light: false,
      queue: 'shell',
      limitMs: () => OWN_LIMIT_MS + CHECK_OUT_LIMIT_MS,
      async run(parameters, call) {
        const { workspaceId, place } = workspaceIdOf(own.id, workspaces, call);
        const workspace = await place.open(workspaceId, call.signal);
        try {
          return await own.run(parameters, workspace, call);
        } catch (error) {
          throw toFault(parameters.path, error);
        }
      },
    });
  return [
    tool<z.infer<typeof ReadParameters>>({
      id: 'files:read',
      description: 'Reads a text file of the workspace, by lines',
      parameters: ReadParameters,
      repeats: 'read_only',
      run: (parameters, workspace) => readFile(workspace, parameters),
    }),
    tool<z.infer<typeof WriteParameters>>({
      id: 'files:write',
      description: 'Writes a whole file of the workspace; folders are made',
      parameters: WriteParameters,
      repeats: 'keyed',
      run: (parameters, workspace) => writeFile(workspace, parameters),
    }),
    tool<z.infer<typeof EditParameters>>({
      id: 'files:edit',
      description: 'Replaces a passage of a text file of the workspace',
      parameters: EditParameters,
      repeats: 'no',
      run: (parameters, workspace) => editFile(workspace, parameters),
    }),
    tool<z.infer<typeof ListParameters>>({
      id: 'files:list',
      description: 'Lists files and folders of the workspace',
      parameters: ListParameters,
      repeats: 'read_only',
      run: (parameters, workspace, { signal }) => listFiles(workspace, parameters, signal),
    }),
    tool<z.infer<typeof GrepParameters>>({
      id: 'files:grep',
      description: 'Finds lines in the files of the workspace',
      parameters: GrepParameters,
      repeats: 'read_only',
      run: (parameters, workspace, { signal }) => grepFiles(workspace, parameters, signal),
    }),
  ];
}

async function readFile(workspace: string, { path: given, offset, limit }: z.infer<typeof ReadParameters>): Promise<Json> {
  const handle = await openToRead(workspace, given);
  try {
    const { bytes, text, isCut } = await readText(handle);
    if (text === null) return { path: given, bytes, binary: true, content: null };
    return { path: given, bytes, ...pageOfLines(text, offset, limit), ...(isCut ? { note: CUT_NOTE } : {}) };
  } finally {
    await handle.close();
  }
}
const CUT_NOTE = `Only the first ${MAX_READ_BYTES} bytes can be read here; a command reads what is behind them.`;

async function writeFile(workspace: string, { path: given, content }: z.infer<typeof WriteParameters>): Promise<Json> {
  const { handle, isNew } = await openToWrite(workspace, given);
  try {
    await handle.truncate(0);
    const bytes = Buffer.from(content);
    await handle.writeFile(bytes);
    return { path: given, bytes: bytes.length, created: isNew };
  } finally {
    await handle.close();
  }
}

async function editFile(workspace: string, { path: given, oldText, newText, replaceAll }: z.infer<typeof EditParameters>): Promise<Json> {
  await realPlace(workspace, given);
  const { handle } = await openToWrite(workspace, given);
  try {
    const { text, isCut } = await readText(handle);
    if (text === null || isCut) throw new StepFault('tool_failed', `${given} is ${text === null ? 'no text' : 'too large to edit'}`);
    const edited = editText(text, { oldText, newText, replaceAll, name: given });
    await handle.truncate(0);
    await handle.write(Buffer.from(edited.text), 0, undefined, 0);
    return { path: given, replaced: edited.replaced };
  } finally {
    await handle.close();
  }
}

async function listFiles(
  workspace: string,
  { path: given, depth, glob }: z.infer<typeof ListParameters>,
  signal: AbortSignal,
): Promise<Json> {
  const from = await folderAt(workspace, given);
  const fits = glob === undefined ? () => true : parseGlob(glob);
  const entries: { path: string; type: Entry['type']; bytes?: number }[] = [];
  for await (const entry of walk({ workspace, from, depth, signal })) {
    if (!fits(entry.path)) continue;
    if (entries.length === MAX_ENTRIES) return { entries, complete: false };
    const size = entry.type === 'file' ? await lstat(entry.real).catch(() => undefined) : undefined;
    entries.push({ path: entry.path, type: entry.type, ...(size === undefined ? {} : { bytes: size.size }) });
  }
  return { entries, complete: true };
}

async function folderAt(workspace: string, given: string): Promise<string> {
  const from = await realPlace(workspace, given);
  if ((await stat(from)).isDirectory()) return from;
  throw toFault(given, Object.assign(new Error('no folder'), { code: 'ENOTDIR' }));
}

async function grepFiles(workspace: string, parameters: z.infer<typeof GrepParameters>, signal: AbortSignal): Promise<Json> {
  const { pattern, path: given, glob, ignoreCase, maxMatches } = parameters;
  const from = await realPlace(workspace, given);
  const matches = glob === undefined ? () => true : parseGlob(glob);
  const request = { workspace, from, pattern, ignoreCase, matches, maxMatches, signal };
  return await grep(request, (await stat(from)).isDirectory() ? entriesOf(request) : only(workspace, from));
}

async function* only(workspace: string, real: string): AsyncGenerator<Entry> {
  yield { path: path.relative(workspace, real).split(path.sep).join('/'), type: 'file', real };
}
