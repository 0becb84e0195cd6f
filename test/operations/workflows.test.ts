import { deleteWorkflow } from '../../src/operations/delete-workflow.js';
import { diffWorkflow } from '../../src/operations/diff-workflow.js';
import { getWorkflow, listWorkflows, workflowHistory } from '../../src/operations/read-workflows.js';
import { raisedPatch, rollbackWorkflow } from '../../src/operations/rollback-workflow.js';
import { slugOf } from '../../src/operations/slug.js';
import { syncWorkflow } from '../../src/operations/sync-workflow.js';
import { updateWorkflow } from '../../src/operations/update-workflow.js';
import { validateWorkflow } from '../../src/operations/validate-definition.js';
import type { Principal } from '../../src/operations/principal.js';
import { aBench, aDefinition, aPerson, type TestBench } from './support.js';

describe('workflows', () => {
  let bench: TestBench;
  let ana: Principal;
  beforeAll(async () => {
    bench = await aBench();
  });
  beforeEach(async () => {
    ana = await aPerson(bench);
  });
  afterAll(() => bench.close());

  it('makes a workflow, then updates the one of that name in place', async () => {
    const first = await syncWorkflow(bench, ana, { name: 'CI digest', data: aDefinition({ name: 'other' }) });
    const second = await syncWorkflow(bench, ana, { name: 'CI digest', version: '1.1.0', data: aDefinition() });
    expect(first).toMatchObject({
      created: true,
      workflow: { name: 'CI digest', slug: 'ci-digest', version: '1.0.0', enabled: true, tags: [] },
    });
    expect(second).toMatchObject({
      created: false,
      workflow: { id: first.workflow.id, slug: 'ci-digest', version: '1.1.0', data: { name: 'CI digest', version: '1.1.0' } },
    });
    expect(
      (await workflowHistory(bench, ana, { id: 'ci-digest', limit: 10 })).items.map(({ version, source }) => [version, source]),
    ).toEqual([
      ['1.1.0', 'sync'],
      ['1.0.0', 'sync'],
    ]);
  });

  it('gives two names that read alike different slugs', async () => {
    const one = await syncWorkflow(bench, ana, { name: 'Deploy it', data: aDefinition() });
    const two = await syncWorkflow(bench, ana, { name: 'Deploy: it!', data: aDefinition() });
    expect([one.workflow.slug, two.workflow.slug]).toEqual(['deploy-it', 'deploy-it-2']);
  });

  it('takes a workflow that calls itself by the slug its name will give it (L33)', async () => {
    const data = aDefinition({ name: 'Calls itself', steps: [{ id: 'again', type: 'subworkflow', workflow: 'calls-itself' }] });
    expect(await validateWorkflow(bench, ana, { data })).toMatchObject({ valid: true });
    expect(await syncWorkflow(bench, ana, { name: 'Calls itself', data })).toMatchObject({ workflow: { slug: 'calls-itself' } });
  });

  it('refuses a slug that the caller chose and another workflow has', async () => {
    await syncWorkflow(bench, ana, { name: 'one', slug: 'mine', data: aDefinition() });
    const { workflow } = await syncWorkflow(bench, ana, { name: 'two', data: aDefinition() });
    await expect(updateWorkflow(bench, ana, { id: workflow.id, slug: 'mine' })).rejects.toMatchObject({ code: 'slug_taken' });
  });

  it('saves nothing of a definition with faults, and lists them all', async () => {
    const fault = syncWorkflow(bench, ana, {
      name: 'bad',
      data: { steps: [{ type: 'banana' }, { id: 's', type: 'tool', tool: 'foo:bar' }] },
    });
    await expect(fault).rejects.toMatchObject({
      code: 'definition_invalid',
      data: {
        problems: expect.arrayContaining([
          expect.objectContaining({ code: 'unknown_step_type' }),
          expect.objectContaining({ code: 'tool_unknown' }),
        ]),
      },
    });
    expect((await listWorkflows(bench, ana, { limit: 10 })).items).toEqual([]);
  });

  it('knows a workflow that calls itself by its slug, and not one that is nobody', async () => {
    const calling = (workflow: string) => ({ name: 'x', steps: [{ id: 'again', type: 'subworkflow', workflow }] });
    await expect(syncWorkflow(bench, ana, { name: 'self', slug: 'self', data: calling('self') })).resolves.toMatchObject({ created: true });
    await expect(syncWorkflow(bench, ana, { name: 'lost', data: calling('nobody') })).rejects.toMatchObject({
      data: { problems: [expect.objectContaining({ code: 'subworkflow_not_found' })] },
    });
  });

  it('warns when a version comes back with other content', async () => {
    await syncWorkflow(bench, ana, { name: 'v', version: '1.0.0', data: aDefinition() });
    await syncWorkflow(bench, ana, { name: 'v', version: '2.0.0', data: aDefinition() });
    const again = await syncWorkflow(bench, ana, { name: 'v', version: '1.0.0', data: aDefinition({ description: 'new' }) });
    expect(again.warnings).toEqual([expect.objectContaining({ code: 'version_reused', path: '/version' })]);
  });

  it('changes only what an update sends; null clears', async () => {
    const { workflow } = await syncWorkflow(bench, ana, {
      name: 'u',
      description: 'text',
      tags: ['a'],
      version: '1.2.0',
      data: aDefinition(),
    });
    const updated = await updateWorkflow(bench, ana, { id: workflow.id, description: null, enabled: false });
    expect(updated.workflow).toMatchObject({ name: 'u', description: null, tags: ['a'], version: '1.2.0', enabled: false });
    expect(updated.workflow.data).not.toHaveProperty('description');
    expect((await updateWorkflow(bench, ana, { id: workflow.id, tags: null, enabled: null })).workflow).toMatchObject({
      tags: [],
      enabled: true,
    });
  });

  it('rolls back to an earlier content under a raised patch, which is all that differs', async () => {
    const first = await syncWorkflow(bench, ana, { name: 'r', version: '1.0.0', data: aDefinition() });
    await syncWorkflow(bench, ana, {
      name: 'r',
      version: '1.2.3',
      data: aDefinition({ steps: [{ id: 'other', type: 'set', values: { a: 1 } }] }),
    });
    const { workflow } = await rollbackWorkflow(bench, ana, { id: 'r', targetHash: first.workflow.hash.replace('sha256:', '') });
    expect(workflow.version).toBe('1.2.4');
    const diff = await diffWorkflow(bench, ana, { id: 'r', from: first.workflow.hash, to: workflow.hash });
    expect(diff).toMatchObject({
      steps: { added: [], removed: [], moved: [], changed: [] },
      root: [{ path: '/version', from: '1.0.0', to: '1.2.4' }],
    });
    expect((await workflowHistory(bench, ana, { id: 'r', limit: 1 })).items[0]).toMatchObject({
      source: 'rollback',
      notes: expect.stringContaining(first.workflow.hash),
    });
    expect(await rollbackWorkflow(bench, ana, { id: 'r', targetHash: workflow.hash })).toMatchObject({ unchanged: true });
  });

  it('hides another owner’s workflow from every operation', async () => {
    const { workflow } = await syncWorkflow(bench, ana, { name: 'secret', data: aDefinition() });
    const bo = await aPerson(bench, { role: 'admin' });
    await expect(getWorkflow(bench, bo, { id: workflow.id })).rejects.toMatchObject({ code: 'not_found' });
    await expect(updateWorkflow(bench, bo, { id: workflow.id, name: 'x' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(deleteWorkflow(bench, bo, { id: workflow.id })).rejects.toMatchObject({ code: 'not_found' });
    await expect(syncWorkflow(bench, bo, { id: workflow.id, name: 'x', data: aDefinition() })).rejects.toMatchObject({ code: 'not_found' });
    await expect(getWorkflow(bench, ana, { id: workflow.id })).resolves.toMatchObject({ workflow: { name: 'secret' } });
  });

  it('deletes a workflow, whose slug is then free', async () => {
    await syncWorkflow(bench, ana, { name: 'gone', slug: 'gone', data: aDefinition() });
    await deleteWorkflow(bench, ana, { id: 'gone' });
    await expect(getWorkflow(bench, ana, { id: 'gone' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(syncWorkflow(bench, ana, { name: 'gone', slug: 'gone', data: aDefinition() })).resolves.toMatchObject({ created: true });
  });

  it('refuses to write for who may only read or run', async () => {
    for (const role of ['viewer', 'approver', 'runner'] as const) {
      await expect(syncWorkflow(bench, await aPerson(bench, { role }), { name: 'x', data: aDefinition() })).rejects.toMatchObject({
        code: 'forbidden',
      });
    }
  });

  it('does not walk what is nested too deep', async () => {
    let reads = 0;
    let step: object = {
      type: 'try',
      get steps() {
        reads += 1;
        return [];
      },
    };
    for (let depth = 0; depth < 2_000; depth += 1) step = { type: 'try', steps: [step] };
    expect(await validateWorkflow(bench, ana, { data: { name: 'Deep', steps: [step] } })).toMatchObject({
      valid: false,
      problems: [{ code: 'malformed_definition' }],
    });
    expect(reads).toBe(0);
  });

  it('validates without saving (V10)', async () => {
    expect(await validateWorkflow(bench, ana, { data: aDefinition() })).toMatchObject({
      valid: true,
      problems: [],
      hash: expect.stringMatching(/^sha256:/),
    });
    for (const data of [undefined, null, 'text', [], { steps: [] }])
      expect(await validateWorkflow(bench, ana, { data })).toMatchObject({ valid: false, hash: null });
    expect((await listWorkflows(bench, ana, { limit: 10 })).items).toEqual([]);
  });
});

describe('versions and slugs', () => {
  it.each([
    ['1.2.3', '1.2.4'],
    ['1.2.3-beta.1', '1.2.3'],
    ['0.0.9+build', '0.0.10'],
  ])('raises %s to %s', (from, to) => expect(raisedPatch(from)).toBe(to));
  it.each([
    ['CI digest', 'ci-digest'],
    ['Überprüfung!', 'uberprufung'],
    ['日本', undefined],
    ['--a--', 'a'],
  ])('makes of the name %s the slug %s', (name, slug) => expect(slugOf(name)).toBe(slug));
});
