import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ACTIONS, denialOf, ROLES } from '../../src/operations/role-matrix.js';
import { Service } from '../support/service.js';
import { blocksOf, readDocument, sectionOf } from './readme-blocks.js';

const GUIDE = readDocument('docs/api-guide.md');

describe('docs/api-guide.md', () => {
  it('shows the roles as they are', () => {
    const rows = [...sectionOf(GUIDE, 'Keys and roles').matchAll(/^\| `(\w+)` \|(.*)\|$/gm)];
    const shown = rows.map((match) => [match[1], (match[2] ?? '').split('|').map((cell) => cell.trim() === '✓')]);
    const columns = ['read', 'run', 'write', 'decide', 'admin'] as const;
    expect(columns).toEqual(ACTIONS);
    expect(shown).toEqual(
      ROLES.map((role) => [role, columns.map((action) => denialOf({ role, kind: 'person', scopes: null }, action) === undefined)]),
    );
  });

  it('links only to files and headings that exist', () => {
    for (const page of [
      'README.md',
      'docs/api-guide.md',
      'docs/errors.md',
      'docs/running.md',
      'docs/concepts.md',
      'docs/what-happens-when.md',
    ]) {
      for (const [, file = '', anchor] of readDocument(page).matchAll(/\]\(([\w./-]*\.md)?(?:#([\w-]+))?\)/g)) {
        const target = file === '' ? page : join(page.startsWith('docs/') && !file.startsWith('docs/') ? 'docs' : '.', file);
        const text = readDocument(target);
        if (anchor !== undefined) expect([...text.matchAll(/^#+ (.*)$/gm)].map((match) => slug(match[1] ?? ''))).toContain(anchor);
      }
    }
  });

  describe('its client', () => {
    let service: Service | undefined;
    const folder = mkdtempSync(join(tmpdir(), 'sbx-guide-'));
    afterAll(async () => {
      await service?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    it('prints every event once and in order, also when the gateway is killed in between', async () => {
      const file = join(folder, 'follow.mjs');
      writeFileSync(file, blocksOf(GUIDE, 'js')[0] ?? '');
      service = await Service.start();
      const { id } = await service.run([
        { id: 'gate', type: 'approval' },
        { id: 'after', type: 'set', values: { done: true } },
      ]);
      const gate = await service.openApproval(id);
      const client = spawn(process.execPath, [file, service.api.baseUrl, service.api.key ?? '', id], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]();
      const printed = [String((await lines.next()).value)];
      await service.gateway.kill();
      await service.startGateway();
      await service.api.post(`/api/approvals/${gate.id}/approve`);
      for (let line = await lines.next(); line.done !== true; line = await lines.next()) printed.push(line.value);
      const events = await service.expectGapFreeLog(id);
      expect(printed.map((line) => line.trim())).toEqual(events.map(({ seq, kind, stepId }) => `${seq} ${kind} ${stepId ?? ''}`.trim()));
    }, 90_000);
  });
});

/** As renderers of Markdown name a heading. */
const slug = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
