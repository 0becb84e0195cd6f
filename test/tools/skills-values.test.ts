import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Json } from '../../src/definition/value.js';
import { SkillLibrary, toSkill } from '../../src/tools/skills/skill-library.js';
import { createSkillsTools } from '../../src/tools/skills/skills-tools.js';
import { createReadValueTool } from '../../src/tools/values/read-value-tool.js';
import { callerOf } from './support/tool-calls.js';

type Answer = { readonly [name: string]: Json } & { skills: { name: string; description: string }[]; text: string };

describe('skills', () => {
  let folder: string;
  let call: ReturnType<typeof callerOf>;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'skills-'));
    call = callerOf(createSkillsTools(new SkillLibrary(folder)));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('has the built-in one, which teaches what an agent has to know of workflows', async () => {
    expect((await call<Answer>('skills:list', {})).skills.map(({ name }) => name)).toEqual(['workflows']);
    const { text } = await call<Answer>('skills:read', { name: 'workflows' });
    for (const word of [
      'list_tools',
      'summary',
      'debug_execution',
      'create_workflow_proposal',
      'Approvals belong to people',
      'do not poll',
      'rollback',
      'values:read',
    ])
      expect(text).toContain(word);
    expect(await callerOf(createSkillsTools(new SkillLibrary(undefined)))<Answer>('skills:list', {})).toMatchObject({
      skills: [{ name: 'workflows' }],
    });
  });

  it('adds the Markdown files of the folder, also those that come later, and reads them whole', async () => {
    await writeFile(path.join(folder, 'deploy.md'), '---\nname: x\ndescription: How we deploy\n---\n# Deploy\nbody');
    await writeFile(path.join(folder, 'notes.txt'), 'not one');
    expect((await call<Answer>('skills:list', {})).skills).toEqual([
      { name: 'deploy', description: 'How we deploy' },
      { name: 'workflows', description: expect.stringContaining('workflows') as string },
    ]);
    expect(await call<Answer>('skills:read', { name: 'deploy' })).toEqual({ name: 'deploy', text: '# Deploy\nbody' });
    await writeFile(path.join(folder, 'workflows.md'), '# Ours');
    expect((await call<Answer>('skills:read', { name: 'workflows' })).text).toBe('# Ours');
  });

  it.each(['../deploy', 'deploy.md', '/etc/passwd', 'nul\0', '.', 'folder'])('reads nothing by the name %j', async (name) => {
    await mkdir(path.join(folder, 'folder.md'));
    await symlink('/etc/passwd', path.join(folder, '..md'));
    await expect(call('skills:read', { name })).rejects.toMatchObject({ code: 'tool_failed' });
  });

  it('names the nearest', async () => {
    await expect(call('skills:read', { name: 'workflow' })).rejects.toThrow('did you mean workflows?');
  });

  it.each([
    ['# Title\n\ntext', 'Title'],
    ['\n\nfirst line\n', 'first line'],
    ['', 'named'],
  ])('describes %j as %s', (text, description) => expect(toSkill('named', text).description).toBe(description));
});

describe('values:read', () => {
  const values: { readonly [key: string]: string } = {
    'usr_ana val_text': JSON.stringify('ab😀cd"e\n'),
    'usr_ana val_json': JSON.stringify({ list: [1, 2, 3] }),
    'usr_bo val_other': '"bo’s"',
  };
  const call = callerOf([createReadValueTool(async (ownerId, ref) => values[`${ownerId} ${ref}`])]);
  const read = (params: Json) =>
    call<{ text: string; nextOffset: number | null; characters: number; offset: number }>('values:read', params);

  it('gives a text as it is, and anything else as JSON, in pieces', async () => {
    expect(await read({ ref: 'val_text' })).toEqual({ ref: 'val_text', characters: 9, offset: 0, text: 'ab😀cd"e\n', nextOffset: null });
    expect(await read({ ref: 'val_json', length: 8 })).toMatchObject({ text: '{"list":', nextOffset: 8 });
    expect(await read({ ref: 'val_json', offset: 8 })).toMatchObject({ text: '[1,2,3]}', nextOffset: null });
    expect(await read({ ref: 'val_json', offset: 900 })).toMatchObject({ text: '', offset: 16, nextOffset: null });
  });

  it('splits no character, whatever the pieces are', async () => {
    for (let length = 1; length < 6; length += 1) {
      let whole = '';
      for (let next: number | null = 0, rounds = 0; next !== null && rounds < 20; rounds += 1) {
        const piece = await read({ ref: 'val_text', offset: next, length });
        whole += piece.text;
        next = piece.nextOffset;
      }
      expect([length, whole]).toEqual([length, 'ab😀cd"e\n']);
    }
  });

  it('S2: reads nobody else’s, and no path', async () => {
    await expect(read({ ref: 'val_other' })).rejects.toThrow('There is no value val_other');
    await expect(read({ ref: '../val_text' })).rejects.toThrow('do not fit');
  });
});
