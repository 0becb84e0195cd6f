import { randomBytes } from 'node:crypto';
import { getMe, listAudit } from '../../src/operations/account.js';
import { findKey } from '../../src/operations/authenticate-key.js';
import { bootstrap } from '../../src/operations/bootstrap.js';
import { createKey, listKeys, revokeKey } from '../../src/operations/keys.js';
import type { Principal } from '../../src/operations/principal.js';
import { deleteSecret, listSecrets, putSecret } from '../../src/operations/secrets.js';
import { slackVoter } from '../../src/operations/slack-voter.js';
import { createUser, listUsers, updateUser } from '../../src/operations/users.js';
import { hashKeySecret } from '../../src/store/keys.js';
import { readSecrets } from '../../src/store/secrets.js';
import { getOrchestratorSession } from '../../src/store/sessions.js';
import { aBench, aPerson, type TestBench } from './support.js';

const anEmail = () => `${randomBytes(5).toString('hex')}@example.test`;

describe('keys and people', () => {
  let bench: TestBench;
  let admin: Principal;
  beforeAll(async () => {
    bench = await aBench();
  });
  beforeEach(async () => {
    admin = await aPerson(bench, { role: 'admin', name: 'Root' });
  });
  afterAll(() => bench.close());
  const holderOf = async (secret: string) => findKey(bench.db, hashKeySecret(secret));

  it('makes a key that opens as its holder, until it is revoked', async () => {
    const { key, secret } = await createKey(bench, admin, { name: 'ci', role: 'runner', kind: 'agent', scopes: ['read', 'run'] });
    expect(secret).toMatch(/^sbx_[A-Za-z0-9]{20,}$/);
    expect(await holderOf(secret)).toMatchObject({
      expiresAtMs: null,
      principal: { userId: admin.userId, name: 'Root', role: 'runner', kind: 'agent', keyId: key.id, scopes: ['read', 'run'] },
    });
    expect((await listKeys(bench, admin, { limit: 200 })).items.map(({ id }) => id)).toContain(key.id);
    await revokeKey(bench, admin, { id: key.id });
    expect(await holderOf(secret)).toBeNull();
    await expect(revokeKey(bench, admin, { id: key.id })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is never made already expired', async () => {
    const make = (expiresAt: string) => createKey(bench, admin, { name: 'k', role: 'viewer', kind: 'person', expiresAt });
    await expect(make(new Date(Date.now() - 1).toISOString())).rejects.toMatchObject({
      code: 'validation_failed',
      data: { problems: [{ path: '/expiresAt' }] },
    });
    await expect(make(new Date(Date.now() + 60_000).toISOString())).resolves.toMatchObject({ key: { name: 'k' } });
  });

  it('never gives more than the caller or the user has', async () => {
    const editor = await aPerson(bench, { role: 'editor' });
    const make = (caller: Principal, more: object) => createKey(bench, caller, { name: 'k', role: 'viewer', kind: 'person', ...more });
    await expect(make(editor, { role: 'admin' })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(make(editor, { userId: admin.userId })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(make(admin, { userId: editor.userId, role: 'admin' })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(make({ ...admin, kind: 'agent' }, {})).rejects.toMatchObject({ code: 'forbidden' });
    await expect(make({ ...editor, scopes: ['read'] }, { role: 'editor', scopes: ['read', 'write'] })).rejects.toMatchObject({
      code: 'forbidden',
    });
    const { secret } = await make({ ...editor, scopes: ['read'] }, { role: 'editor' });
    expect((await holderOf(secret))?.principal.scopes).toEqual(['read']);
  });

  it('narrows a key when its user is narrowed, and closes it when they are disabled', async () => {
    const { user } = await createUser(bench, admin, { name: 'Cy', email: anEmail(), role: 'editor', groups: ['ops'] });
    const { secret } = await createKey(bench, admin, { name: 'k', role: 'editor', kind: 'person', userId: user.id });
    await updateUser(bench, admin, { id: user.id, role: 'approver' });
    expect((await holderOf(secret))?.principal).toMatchObject({ role: 'approver', groups: ['ops'] });
    await updateUser(bench, admin, { id: user.id, disabled: true });
    expect(await holderOf(secret)).toBeNull();
  });

  it('links a user of Slack to one person, who may be disabled or unlinked', async () => {
    const [cy, di] = await Promise.all(
      ['Cy', 'Di'].map((name) => createUser(bench, admin, { name, email: anEmail(), role: 'approver', groups: ['ops'] })),
    );
    const [one, other] = [cy?.user.id ?? '', di?.user.id ?? ''];
    expect(await slackVoter(bench, 'U1')).toBeUndefined();
    await updateUser(bench, admin, { id: one, slackUserId: 'U1' });
    expect(await slackVoter(bench, 'U1')).toMatchObject({
      userId: one,
      name: 'Cy',
      role: 'approver',
      groups: ['ops'],
      kind: 'person',
      keyId: null,
    });
    const taken = { code: 'slack_user_taken', data: { slackUserId: 'U1' } };
    await expect(updateUser(bench, admin, { id: other, slackUserId: 'U1' })).rejects.toMatchObject(taken);
    await expect(createUser(bench, admin, { name: 'Ed', email: anEmail(), role: 'viewer', slackUserId: 'U1' })).rejects.toMatchObject(
      taken,
    );
    await updateUser(bench, admin, { id: one, disabled: true });
    expect(await slackVoter(bench, 'U1')).toBeUndefined();
    await updateUser(bench, admin, { id: one, slackUserId: null });
    await updateUser(bench, admin, { id: other, slackUserId: 'U1' });
    expect(await slackVoter(bench, 'U1')).toMatchObject({ userId: other });
  });

  it('gives everyone the lasting session of their agent', async () => {
    const { user } = await createUser(bench, admin, { name: 'Di', email: anEmail(), role: 'viewer' });
    expect(await getOrchestratorSession(bench.db, user.id)).toMatchObject({ kind: 'orchestrator' });
  });

  it('keeps one’s own keys from others, and an admin from locking themselves out', async () => {
    const bo = await aPerson(bench, { role: 'editor' });
    const { key } = await createKey(bench, admin, { name: 'k', role: 'viewer', kind: 'person' });
    expect((await listKeys(bench, bo, { limit: 200 })).items).toEqual([]);
    await expect(revokeKey(bench, bo, { id: key.id })).rejects.toMatchObject({ code: 'not_found' });
    await expect(updateUser(bench, admin, { id: admin.userId, role: 'viewer' })).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('leaves people and the audit log to admins', async () => {
    const editor = await aPerson(bench, { role: 'editor' });
    await expect(createUser(bench, editor, { name: 'x', email: anEmail(), role: 'viewer' })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(listUsers(bench, editor, { limit: 1 })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(async () => listAudit(bench, editor, { limit: 1 })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(createUser(bench, admin, { name: 'x', email: admin.email.toUpperCase(), role: 'viewer' })).rejects.toMatchObject({
      code: 'email_taken',
    });
    expect(await getMe(bench, admin)).toMatchObject({ user: { id: admin.userId, role: 'admin' }, key: null });
  });

  it('keeps secrets encrypted, named, and for their owner alone', async () => {
    const bo = await aPerson(bench);
    await putSecret(bench, admin, { name: 'TOKEN', value: 's3cret' });
    expect(await listSecrets(bench, admin)).toMatchObject({ items: [{ name: 'TOKEN' }] });
    expect(await listSecrets(bench, bo)).toEqual({ items: [] });
    expect((await readSecrets(bench.db, bench.encryptionKey, admin.userId, ['TOKEN'])).get('TOKEN')).toBe('s3cret');
    await expect(deleteSecret(bench, bo, { name: 'TOKEN' })).rejects.toMatchObject({ code: 'not_found' });
    const { rows } = await bench.db.pool.query(`SELECT 1 FROM audit_log WHERE details::text LIKE '%s3cret%'`);
    expect(rows).toEqual([]);
  });
});

describe('the first start', () => {
  let bench: TestBench;
  beforeAll(async () => {
    bench = await aBench();
  });
  afterAll(() => bench.close());

  it('makes one admin and one key, however many processes start at once', async () => {
    const made = await Promise.all(Array.from({ length: 4 }, () => bootstrap(bench.db, undefined)));
    const secrets = made.flatMap(({ secret }) => (secret === undefined ? [] : [secret]));
    expect(secrets).toHaveLength(1);
    expect((await findKey(bench.db, hashKeySecret(secrets[0] ?? '')))?.principal).toMatchObject({ role: 'admin', kind: 'person' });
    expect(await bootstrap(bench.db, undefined)).toEqual({ secret: undefined, isGiven: false });
  });

  it('makes the key that the environment gives work, also later', async () => {
    const given = `sbx_${'a'.repeat(24)}`;
    for (let n = 0; n < 2; n += 1) expect((await bootstrap(bench.db, given)).isGiven).toBe(true);
    expect((await findKey(bench.db, hashKeySecret(given)))?.principal.role).toBe('admin');
  });
});
