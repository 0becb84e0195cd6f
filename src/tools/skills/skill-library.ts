import { open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { readText } from '../files/read-text.js';
import { WORKFLOWS_SKILL } from './workflows-skill.js';

export interface Skill {
  /** What it is read by: the file's name without `.md`. */
  readonly name: string;
  readonly description: string;
  readonly text: string;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const MAX_SKILLS = 200;
const MAX_BYTES = 256 * 1024;
const BUILT_IN: Skill = {
  name: 'workflows',
  description: 'Working with workflows: writing, running, debugging, approvals',
  text: WORKFLOWS_SKILL,
};

/** Documents that teach an agent: the built-in one, and the Markdown files of a folder, read anew each time so that they can be edited. */
export class SkillLibrary {
  /** @param folder `SIGNALBOX_SKILLS_DIR`; a file `workflows.md` in it takes the place of the built-in one */
  constructor(private readonly folder: string | undefined) {}

  /** In order of name. */
  async list(): Promise<readonly Pick<Skill, 'name' | 'description'>[]> {
    const own = await Promise.all((await this.names()).map((name) => this.readOwn(name)));
    const found = [BUILT_IN, ...own.filter((skill) => skill !== undefined)];
    const byName = new Map(found.map(({ name, description }) => [name, { name, description }]));
    return [...byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Undefined: there is none of this name. */
  async read(name: string): Promise<Skill | undefined> {
    // Looked up among the files that are there: a name never becomes a path.
    const own = (await this.names()).includes(name) ? await this.readOwn(name) : undefined;
    return own ?? (name === BUILT_IN.name ? BUILT_IN : undefined);
  }

  private async names(): Promise<readonly string[]> {
    if (this.folder === undefined) return [];
    const files = await readdir(this.folder).catch(() => []);
    const names = files.filter((file) => file.endsWith('.md')).map((file) => file.slice(0, -'.md'.length));
    return names
      .filter((name) => NAME.test(name))
      .toSorted()
      .slice(0, MAX_SKILLS);
  }

  private async readOwn(name: string): Promise<Skill | undefined> {
    const handle = await open(path.join(this.folder ?? '', `${name}.md`)).catch(() => undefined);
    if (handle === undefined) return undefined;
    try {
      const { text } = await readText(handle, MAX_BYTES);
      return text === null ? undefined : toSkill(name, text);
    } catch {
      return undefined; // a folder of that name, or a file that is being replaced
    } finally {
      await handle.close();
    }
  }
}

/** The description is the front matter's, else the first heading, else the first line of text. Pure. */
export function toSkill(name: string, text: string): Skill {
  const [, front = '', body = text] = /^---\r?\n([\s\S]*?)\r?\n---\r?\n?([\s\S]*)$/.exec(text) ?? [];
  const told = /^description:\s*(.+)$/m.exec(front)?.[1];
  const first = body.split('\n').find((line) => line.trim() !== '') ?? '';
  const description = (told ?? first.replace(/^#+\s*/, '')).trim().slice(0, 300);
  return { name, description: description === '' ? name : description, text: body };
}
