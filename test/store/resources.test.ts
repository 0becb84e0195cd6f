import { addCommand, addEvent, MAX_WAITING_EVENTS } from '../../src/store/commands.js';
import { listAudit, recordAudit } from '../../src/store/audit.js';
import { settleExecution } from '../../src/store/end-execution.js';
import { readSessionEvents } from '../../src/store/event-log.js';
import { claimRun, getExecution, listChildren, loadStart } from '../../src/store/executions.js';
import { createKey, deleteKey, findKeyHolder, listKeys } from '../../src/store/keys.js';
import { addMessage, listMessages } from '../../src/store/messages.js';
import { getDefinition, getPlan, putPlan } from '../../src/store/plans.js';
import { pendingExecutions, staleExecutions, undeliveredCommands } from '../../src/store/reconcile-queries.js';
import { deleteSecret, listSecrets, openSecret, putSecret, readSecrets, sealSecret } from '../../src/store/secrets.js';
import { createChatSession, getOrchestratorSession, getSession, listSessions } from '../../src/store/sessions.js';
import { createUser, findUser, updateUser } from '../../src/store/users.js';
import { putValue, readStored, readValue, readValueText, storeIfLarge, storeValue } from '../../src/store/values.js';
import {
  deleteWorkflow,
  getVersion,
  getWorkflow,
  listVersions,
  listWorkflows,
  saveWorkflow,
  type WorkflowContent,
} from '../../src/store/workflows.js';
import type { Plan } from '../../src/definition/plan.js';
import { recordEvents } from '../../src/store/projection.js';
import { aCarry, anEngineEvent, anInstance, started, useDatabase } from './builders.js';

const { db } = useDatabase();

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: unknown) => (error as { code?: unknown }).code ?? error,
  );

describe('values', () => {
  it('travel inline up to 32 KB, and by reference above, stored once for each owner', async () => {
    expect(await storeIfLarge(db(), 'usr_ana', 'x'.repeat(32_766))).toEqual({ v: 'x'.repeat(32_766) });
    const [first, second, others] = await Promise.all(
      ['usr_ana', 'usr_ana', 'usr_bo'].map((owner) => storeIfLarge(db(), owner, 'x'.repeat(32_767))),
    );
    expect(first).toMatchObject({
      v: null,
      refs: { '': { ref: expect.stringMatching(/^val_/), bytes: 32_769, preview: expect.stringMatching(/^"xxx/) } },
    });
    expect(second).toEqual(first);
    expect(others?.refs?.['']?.ref).not.toBe(first?.refs?.['']?.ref);
  });

  it('D22: are read by their owner alone', async () => {
    const { ref } = await putValue(db(), 'usr_ana', { big: [1, 2] });
    expect(await readValue(db(), 'usr_ana', ref)).toEqual({ big: [1, 2] });
    expect(await readValue(db(), 'usr_bo', ref)).toBeUndefined();
    expect(await readValueText(db(), 'usr_bo', ref)).toBeUndefined();
  });

  it('D6: may stand upon others: kept apart, read whole, shown as references', async () => {
    const inner = await putValue(db(), 'usr_ana', { n: 1, text: 'x' });
    const value = { v: { rows: [null, 2], 'a/b': null }, refs: { '/rows/0': inner, '/a~1b': inner } };
    const outer = await storeValue(db(), 'usr_ana', value);
    expect(await readStored(db(), 'usr_ana', outer.ref)).toEqual(value);
    expect(await readValue(db(), 'usr_ana', outer.ref)).toEqual({
      rows: [{ n: 1, text: 'x' }, 2],
      'a/b': { n: 1, text: 'x' },
    });
    expect(JSON.parse((await readValueText(db(), 'usr_ana', outer.ref)) ?? '')).toEqual({ rows: [inner, 2], 'a/b': inner });
    expect(await readValue(db(), 'usr_ana', outer.ref, inner.bytes - 1)).toEqual({ rows: [inner, 2], 'a/b': inner });
    expect(await readStored(db(), 'usr_bo', outer.ref)).toBeUndefined();
  });

  it('D22: data that looks like such a value stays data, and is another value', async () => {
    const inner = await putValue(db(), 'usr_ana', [7]);
    const outer = await storeValue(db(), 'usr_ana', { v: [null], refs: { '/0': inner } });
    const data = await putValue(db(), 'usr_ana', [{ ref: inner.ref, bytes: inner.bytes, sha256: inner.sha256, preview: inner.preview }]);
    expect(data.ref).not.toBe(outer.ref);
    expect(await readStored(db(), 'usr_ana', data.ref)).toEqual({ v: [inner] });
    expect(await readValue(db(), 'usr_ana', data.ref)).toEqual([inner]);
  });
});

describe('plans', () => {
  it('are kept by hash, the definition as it was written', async () => {
    const plan = { planFormat: 1, hash: 'sha256:p', name: 'x', steps: [] } as unknown as Plan;
    await Promise.all([1, 2].map(() => putPlan(db(), { hash: 'sha256:p', planFormat: 1, data: { z: 1, a: 2 }, plan })));
    expect(await getPlan(db(), 'sha256:p')).toEqual(plan);
    expect(JSON.stringify(await getDefinition(db(), 'sha256:p'))).toBe('{"z":1,"a":2}');
    expect(await getPlan(db(), 'sha256:none')).toBeUndefined();
    const execution = await started(db(), { hash: 'sha256:p', variables: { n: { v: 1 } } });
    expect((await loadStart(db(), execution.id))?.start).toMatchObject({
      plan,
      variables: { n: { v: 1 } },
      execution: { id: execution.id, sessionId: execution.sessionId, parent: null },
    });
  });
});

describe('commands', () => {
  const anEventFor = (executionId: string, overrides: object = {}) => ({
    ownerId: 'usr_ana',
    executionId,
    event: 'paid',
    payload: { v: { n: 1 } },
    bytes: 7,
    by: null,
    ...overrides,
  });
  const accepted = (result: object): string => (result as { commandId: string }).commandId;

  it('L39: write an event once for its key, and refuse the key with another body', async () => {
    const { id } = await started(db());
    const idempotency = { door: `execution:${id}`, key: 'k', bodyHash: 'a' };
    const results = await Promise.all([1, 2, 3].map(() => addEvent(db(), anEventFor(id, { idempotency }))));
    expect(new Set(results.map(accepted)).size).toBe(1);
    expect(results.filter((result) => result.kind === 'accepted' && !result.duplicate)).toHaveLength(1);
    expect(await addEvent(db(), anEventFor(id, { idempotency: { ...idempotency, bodyHash: 'b' } }))).toEqual({ kind: 'key_reused' });
  });

  it('are undelivered until the workflow says that it has applied them', async () => {
    const { id } = await started(db());
    const commandId = accepted(await addEvent(db(), anEventFor(id)));
    const open = async () => (await undeliveredCommands(db(), 0, 1_000)).map((command) => command.id);
    expect(await open()).toContain(commandId);
    await recordEvents(db(), id, aCarry({ delivered: [commandId] }));
    expect(await open()).not.toContain(commandId);
  });

  it("are refused by an execution that has ended, is another owner's, or holds too many events", async () => {
    const { id } = await started(db());
    expect((await addEvent(db(), anEventFor(id, { ownerId: 'usr_bo' }))).kind).toBe('not_found');
    expect((await addEvent(db(), anEventFor(id, { bytes: 300_000 }))).kind).toBe('backlog_full');
    await db().pool.query(
      `INSERT INTO commands (id, owner_id, target_id, kind, payload, by) SELECT 'cmd_' || $1 || n, 'usr_ana', $1, 'event', '{}', 'null' FROM generate_series(1, ${MAX_WAITING_EVENTS}) AS n`,
      [id],
    );
    expect(await addEvent(db(), anEventFor(id))).toMatchObject({ kind: 'backlog_full', waiting: MAX_WAITING_EVENTS });
    const wait = anEngineEvent({ instance: anInstance({ stepId: 'wait' }), stepType: 'wait_for_event' });
    await recordEvents(db(), id, aCarry({ events: [wait] }));
    expect((await addEvent(db(), anEventFor(id))).kind).toBe('accepted');
    await settleExecution(db(), id, null, { status: 'completed', output: { v: null }, error: null, reason: null, requested: false });
    expect((await addEvent(db(), anEventFor(id))).kind).toBe('ended');
    expect((await addCommand(db(), { ownerId: 'usr_ana', executionId: id, kind: 'pause', by: null })).kind).toBe('ended');
  });
});

describe('executions', () => {
  it('belong to their owner', async () => {
    const { id } = await started(db());
    expect(await getExecution(db(), 'usr_bo', id)).toBeUndefined();
    expect((await getExecution(db(), 'usr_ana', id))?.id).toBe(id);
    expect((await listChildren(db(), 'usr_ana', id, { limit: 5 })).items).toEqual([]);
  });

  it('are claimed by one Temporal run', async () => {
    const { id } = await started(db());
    expect(await claimRun(db(), id, 'run-1')).toBe('mine');
    expect(await claimRun(db(), id, 'run-1')).toBe('mine');
    expect(await claimRun(db(), id, 'run-2')).toBe('other');
    expect(await claimRun(db(), 'exe_none', 'run-2')).toBe('not_found');
  });

  it('are found by the reconciler while pending, and when open and untouched', async () => {
    const pending = await started(db());
    const open = await started(db());
    await recordEvents(db(), open.id, aCarry());
    expect(await pendingExecutions(db(), 0, 1_000)).toContain(pending.id);
    expect(await pendingExecutions(db(), 60_000, 1_000)).not.toContain(pending.id);
    expect(await staleExecutions(db(), 0, '', 1_000)).toContain(open.id);
    expect(await staleExecutions(db(), 60_000, '', 1_000)).not.toContain(open.id);
  });
});

describe('workflows', () => {
  const content = (overrides: Partial<WorkflowContent> = {}): WorkflowContent => ({
    slug: null,
    name: 'Nightly',
    description: null,
    version: '1.0.0',
    hash: 'sha256:1',
    data: { name: 'Nightly' },
    enabled: true,
    tags: [],
    ...overrides,
  });
  const save = (ownerId: string, match: { id?: string; slug?: string; name: string }, overrides: Partial<WorkflowContent> = {}) =>
    saveWorkflow(db(), match, { ownerId, source: 'sync' }, () => content(overrides));

  it('are upserted by name once, however many do it at once', async () => {
    const saved = await Promise.all([1, 2, 3, 4].map(() => save('usr_w1', { name: 'Nightly' })));
    expect(saved.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(saved.map(({ workflow }) => workflow.id)).size).toBe(1);
  });

  it('K6: have one row of history for each content; a version names the newest that carries it', async () => {
    const { workflow } = await save('usr_w2', { name: 'Nightly' });
    await save('usr_w2', { id: workflow.id, name: 'Nightly' });
    await save('usr_w2', { id: workflow.id, name: 'Nightly' }, { hash: 'sha256:2', data: { b: 1, a: 2 } });
    const history = await listVersions(db(), 'usr_w2', workflow.id, { limit: 10 });
    expect(history.items.map((item) => item.hash)).toEqual(['sha256:2', 'sha256:1']);
    const page = await listVersions(db(), 'usr_w2', workflow.id, { limit: 1 });
    expect(
      (await listVersions(db(), 'usr_w2', workflow.id, { limit: 1, cursor: page.cursor ?? '' })).items.map((item) => item.hash),
    ).toEqual(['sha256:1']);
    expect((await getVersion(db(), 'usr_w2', workflow.id, '1.0.0'))?.hash).toBe('sha256:2');
    expect((await getVersion(db(), 'usr_w2', workflow.id, '1'))?.hash).toBe('sha256:1');
    expect(await getVersion(db(), 'usr_w1', workflow.id, '1.0.0')).toBeUndefined();
  });

  it('leave their slug when deleted, and are gone for everyone but their history', async () => {
    const { workflow } = await save('usr_w3', { slug: 'nightly', name: 'Nightly' }, { slug: 'nightly' });
    expect((await getWorkflow(db(), 'usr_w3', 'nightly'))?.id).toBe(workflow.id);
    expect(await getWorkflow(db(), 'usr_w1', workflow.id)).toBeUndefined();
    expect(await codeOf(save('usr_w3', { slug: 'other', name: 'Other' }, { slug: 'nightly' }))).toBe('slug_taken');
    expect(await deleteWorkflow(db(), 'usr_w1', workflow.id)).toBe(false);
    expect(await deleteWorkflow(db(), 'usr_w3', workflow.id)).toBe(true);
    expect(await getWorkflow(db(), 'usr_w3', 'nightly')).toBeUndefined();
    expect((await save('usr_w3', { slug: 'nightly', name: 'Nightly' }, { slug: 'nightly' })).created).toBe(true);
  });

  it("are listed by name, tag and state, keys in the author's order", async () => {
    await save('usr_w4', { name: 'Alpha' }, { name: 'Alpha', tags: ['x'], data: { z: 1, a: 1 } });
    await save('usr_w4', { name: 'Beta' }, { name: 'Beta', enabled: false });
    const names = async (filter: object) =>
      (await listWorkflows(db(), { ownerId: 'usr_w4', limit: 10, ...filter })).items.map((item) => item.name);
    expect(await names({})).toEqual(['Beta', 'Alpha']);
    expect(await names({ q: 'alph' })).toEqual(['Alpha']);
    expect(await names({ tag: 'x' })).toEqual(['Alpha']);
    expect(await names({ enabled: false })).toEqual(['Beta']);
    const [alpha] = (await listWorkflows(db(), { ownerId: 'usr_w4', q: 'alpha', limit: 1 })).items;
    expect(JSON.stringify(alpha?.data)).toBe('{"z":1,"a":1}');
  });

  it('let the writer refuse what stands there, with nothing written', async () => {
    const { workflow } = await save('usr_w5', { name: 'Nightly' });
    const stale = saveWorkflow(db(), { id: workflow.id, name: 'Nightly' }, { ownerId: 'usr_w5', source: 'update' }, () => {
      throw new Error('stale');
    });
    await expect(stale).rejects.toThrow('stale');
    expect((await listVersions(db(), 'usr_w5', workflow.id, { limit: 10 })).items).toHaveLength(1);
  });
});

describe('people and keys', () => {
  it('have one user for an e-mail, found in any case, with an orchestrator session', async () => {
    const user = await createUser(db(), { name: 'Ana', email: 'Ana@X.io', role: 'editor', groups: ['ops'] });
    expect(await findUser(db(), 'ANA@x.IO')).toEqual(user);
    expect(await codeOf(createUser(db(), { name: 'A', email: 'ana@x.io', role: 'viewer' }))).toBe('email_taken');
    expect(await getOrchestratorSession(db(), user.id)).toMatchObject({ kind: 'orchestrator', ownerId: user.id });
    expect(await updateUser(db(), user.id, { groups: ['red'], disabled: true })).toMatchObject({
      groups: ['red'],
      disabled: true,
      role: 'editor',
    });
    expect(await updateUser(db(), 'usr_none', { disabled: true })).toBeUndefined();
  });

  it("are found by a key's secret, of which only the hash is kept", async () => {
    const user = await createUser(db(), { name: 'Bo', email: 'bo@x.io', role: 'admin' });
    const { key, secret } = await createKey(db(), {
      userId: user.id,
      name: 'ci',
      kind: 'agent',
      role: 'runner',
      scopes: ['read'],
      expiresAt: '2030-01-01T00:00:00.000Z',
    });
    expect(secret).toMatch(/^sbx_[0-9A-Za-z]{43}$/);
    expect(await findKeyHolder(db(), secret)).toEqual({ key, user });
    expect(key).toMatchObject({ kind: 'agent', scopes: ['read'], expiresAt: '2030-01-01T00:00:00.000Z' });
    expect(await findKeyHolder(db(), `${secret}x`)).toBeUndefined();
    expect(await deleteKey(db(), 'usr_other', key.id)).toBe(false);
    expect((await listKeys(db(), user.id)).map(({ id }) => id)).toEqual([key.id]);
    expect(await deleteKey(db(), user.id, key.id)).toBe(true);
    const unscoped = await createKey(db(), { userId: user.id, name: 'all', kind: 'person', role: 'admin' });
    expect((await findKeyHolder(db(), unscoped.secret))?.key.scopes).toBeNull();
  });
});

describe('sessions and messages', () => {
  it("A13: keep one message for a client's id, in order, with its event", async () => {
    const session = await createChatSession(db(), 'usr_ana', 'Hello');
    const say = (dedupKey: string) =>
      addMessage(db(), {
        ownerId: 'usr_ana',
        sessionId: session.id,
        role: 'user',
        author: 'Ana',
        parts: [{ type: 'text', text: dedupKey }],
        dedupKey,
      });
    const results = await Promise.all([say('a'), say('a'), say('b')]);
    expect(results.filter((result) => result?.duplicate === true)).toHaveLength(1);
    const page = await listMessages(db(), 'usr_ana', session.id, { after: 0, limit: 10 });
    expect(page.items.map((message) => message.content).toSorted()).toEqual(['a', 'b']);
    expect(page.items.map((message) => message.seq)).toEqual([1, 2]);
    expect((await readSessionEvents(db(), session.id, 0, 10)).map((event) => event.kind)).toEqual(['message.created', 'message.created']);
    expect(await listMessages(db(), 'usr_bo', session.id, { after: 0, limit: 10 })).toMatchObject({ items: [] });
  });

  it("carry the step that they are of into the session's log", async () => {
    const execution = await started(db());
    await addMessage(db(), {
      ownerId: 'usr_ana',
      sessionId: execution.sessionId,
      role: 'assistant',
      author: 'CI',
      parts: [{ type: 'text', text: 'hi' }],
      of: { executionId: execution.id, instance: anInstance({ iterationPath: 'l:i0' }) },
    });
    expect(await readSessionEvents(db(), execution.sessionId, 1, 10)).toMatchObject([
      { seq: 2, kind: 'message.created', executionId: execution.id, stepId: 'call', iterationPath: 'l:i0' },
    ]);
  });

  it("take nothing into another owner's session", async () => {
    const session = await createChatSession(db(), 'usr_ana', 'Hello');
    expect(await addMessage(db(), { ownerId: 'usr_bo', sessionId: session.id, role: 'user', author: 'Bo', parts: [] })).toBeUndefined();
    expect(await getSession(db(), 'usr_bo', session.id)).toBeUndefined();
  });

  it('list the orchestrator first', async () => {
    const user = await createUser(db(), { name: 'Cy', email: 'cy@x.io', role: 'editor' });
    await createChatSession(db(), user.id, 'One');
    await createChatSession(db(), user.id, 'Two');
    const kinds = async (kind?: 'orchestrator' | 'chat') =>
      (await listSessions(db(), user.id, { limit: 10, ...(kind === undefined ? {} : { kind }) })).items.map((session) => session.title);
    expect(await kinds()).toEqual(['Orchestrator', 'Two', 'One']);
    expect(await kinds('orchestrator')).toEqual(['Orchestrator']);
    expect(await kinds('chat')).toEqual(['Two', 'One']);
  });
});

describe('secrets', () => {
  const key = Buffer.alloc(32, 7);

  it('are stored encrypted, each bound to owner and name, and read back', async () => {
    await putSecret(db(), key, 'usr_ana', 'TOKEN', 's3cret-ä');
    await putSecret(db(), key, 'usr_ana', 'TOKEN', 's3cret-ü');
    expect(await readSecrets(db(), key, 'usr_ana', ['TOKEN', 'NONE'])).toEqual(new Map([['TOKEN', 's3cret-ü']]));
    expect(await readSecrets(db(), key, 'usr_bo', ['TOKEN'])).toEqual(new Map());
    const { rows } = await db().pool.query<{ ciphertext: Buffer }>('SELECT ciphertext FROM secrets');
    expect(rows.some((row) => row.ciphertext.includes('s3cret'))).toBe(false);
    expect((await listSecrets(db(), 'usr_ana')).map(({ name }) => name)).toEqual(['TOKEN']);
    expect([await deleteSecret(db(), 'usr_ana', 'TOKEN'), await deleteSecret(db(), 'usr_ana', 'TOKEN')]).toEqual([true, false]);
  });

  it.each([
    ['another key', Buffer.alloc(32, 8), 'usr_ana', 'A'],
    ['another owner', key, 'usr_bo', 'A'],
    ['another name', key, 'usr_ana', 'B'],
  ])('do not open with %s', (_, otherKey, owner, name) => {
    const sealed = sealSecret(key, 'usr_ana', 'A', 'x');
    expect(openSecret(key, 'usr_ana', 'A', sealed)).toBe('x');
    expect(() => openSecret(otherKey, owner, name, sealed)).toThrow();
  });
});

describe('the audit log', () => {
  it('lists who did what, newest first', async () => {
    for (const action of ['a', 'b', 'c'])
      await recordAudit(db(), { ownerId: 'usr_ana', actor: { id: 'usr_ana' }, action, targetType: 'approval', targetId: 'apr_1' });
    const first = await listAudit(db(), { limit: 2 });
    const second = await listAudit(db(), { limit: 2, cursor: first.cursor ?? '' });
    expect([...first.items, ...second.items].map((entry) => entry.action)).toEqual(['c', 'b', 'a']);
  });
});
