import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Service } from '../support/service.js';
import { blocksOf, readDocument, ROOT, sectionOf } from './readme-blocks.js';

const FIRST_WORKFLOW = sectionOf(readDocument('README.md'), 'A first workflow');
const run = promisify(execFile);

/** Pastes the section's commands into one shell, in a folder that looks like a checkout whose `npm start` is running. */
async function paste(service: Service): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sbx-readme-'));
  try {
    mkdirSync(join(folder, '.signalbox'));
    writeFileSync(join(folder, '.signalbox', 'bootstrap-key'), `${service.api.key}\n`);
    symlinkSync(join(ROOT, 'examples'), join(folder, 'examples'));
    const commands = blocksOf(FIRST_WORKFLOW, 'sh').join('\n').replaceAll('http://127.0.0.1:8080', service.api.baseUrl);
    const { stdout, stderr } = await run('bash', ['-eu', '-o', 'pipefail', '-c', commands], { cwd: folder, timeout: 50_000 });
    return `${stdout}\n${stderr}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('the README', () => {
  it('shows the example as it is in examples/', () => {
    const [shown] = blocksOf(FIRST_WORKFLOW, 'json');
    expect(JSON.parse(shown ?? '')).toEqual(JSON.parse(readDocument('examples/release-check.json')));
  });

  it('has a first example with each kind of step that it promises', () => {
    const example = readDocument('examples/release-check.json');
    for (const type of ['loop', 'tool', 'parallel', 'try', 'agent_prompt', 'conditional', 'approval', 'notify'])
      expect(example).toContain(`"type": "${type}"`);
    for (const part of ['"concurrency"', '"catch"', '"finally"', '"http:request"']) expect(example).toContain(part);
  });

  it('names only files that exist', () => {
    const links = [...readDocument('README.md').matchAll(/\]\(([^)#:]+)\)/g)].map((match) => match[1] ?? '');
    expect(links.length).toBeGreaterThan(5);
    for (const link of links) expect(() => readDocument(link)).not.toThrow();
  });

  describe('pasted into a shell', () => {
    let service: Service | undefined;
    afterEach(() => service?.close());

    it('saves, runs, follows, approves and reads the first workflow', async () => {
      service = await Service.start({ env: { SIGNALBOX_HTTP_ALLOW: '127.0.0.1' } });
      const printed = await paste(service);
      expect(printed).toContain('release-check');
      expect(printed).toContain('All 3 services answered. Release 1.4.0?');
      expect(printed).toMatch(/^\d+ step\.completed call probe:i2$/m);
      expect(printed).toMatch(/^\d+ step\.failed notes gather:b1\/read_notes:try$/m);
      expect(printed).toMatch(/^\d+ step\.completed looked gather:b1\/read_notes:finally$/m);
      expect(printed).toMatch(/^\d+ execution\.completed/m);
      expect(printed).toContain('"status": "completed"');
      expect(printed).toContain('"decision": "approved"');
      expect(printed).toContain('"answered": 3');
    }, 90_000);

    it('gets to the end also where steps may not call this machine', async () => {
      service = await Service.start({ env: { SIGNALBOX_HTTP_ALLOW: '' } });
      const printed = await paste(service);
      expect(printed).toContain('3 of 3 services did not answer. Release 1.4.0 all the same?');
      expect(printed).toContain('"code": "http_blocked"');
      expect(printed).toContain('"status": "completed"');
    }, 90_000);
  });
});
