import { workspaceOrigin, workspaceStates } from '../../src/store/workspace-facts.js';
import { started, useDatabase } from './builders.js';

describe('facts of workspaces', () => {
  const { db } = useDatabase();

  it('are whose run it is, and its repo', async () => {
    const repo = { url: 'https://github.com/a/b', branch: 'main' };
    const [plain, with_] = await Promise.all([started(db()), started(db(), { repo })]);
    expect(await workspaceOrigin(db(), plain.id)).toEqual({ ownerId: 'usr_ana', repo: null });
    expect(await workspaceOrigin(db(), with_.id)).toEqual({ ownerId: 'usr_ana', repo });
    expect(await workspaceOrigin(db(), 'exe_none')).toBeUndefined();
  });

  it('say that a run is over ten minutes after its end, and a session once it is archived', async () => {
    const [open, fresh, over] = await Promise.all([started(db()), started(db()), started(db())]);
    const end = (id: string, ago: string) =>
      db().pool.query(`UPDATE executions SET completed_at = now() - interval '${ago}' WHERE id = $1`, [id]);
    await Promise.all([end(fresh.id, '9 minutes'), end(over.id, '11 minutes')]);
    await db().pool.query('UPDATE sessions SET archived_at = now() WHERE id = $1', [over.sessionId]);
    const states = await workspaceStates(db(), [open.id, fresh.id, over.id, open.sessionId, over.sessionId, 'exe_none']);
    expect(Object.fromEntries(states)).toEqual({
      [open.id]: 'open',
      [fresh.id]: 'open',
      [over.id]: 'over',
      [open.sessionId]: 'open',
      [over.sessionId]: 'over',
    });
  });
});
