import { Client as Database } from 'pg';
import type { Execution } from '../support/service-shapes.js';
import { Service } from '../support/service.js';
import { call, gate, wait } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(180_000);

/** The reconciler looks every minute. */
const REPAIRED_WITHIN_MS = 95_000;

describe('workflows that Temporal lost or was told to end', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
    await service.save({ name: 'Lost child', steps: [wait('w', '10m')] }, { slug: 'lost-child' });
  });
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  it('D12 D26 are closed as failed, gates too, parents told, and nothing is started again; D11 a pending row is started', async () => {
    const temporal = await service.temporalClient();
    const [terminated, lost, parent] = await Promise.all([
      service.run([gate('g')]),
      service.run([wait('w', '10m'), call('c', stub, '/never')]),
      service.run([{ id: 'sub', type: 'subworkflow', workflow: 'lost-child' }]),
    ]);
    const approval = await service.openApproval(terminated.id);
    await service.untilStatus(lost.id, 'waiting_event');
    const childId = await service.until(
      'the child',
      async () =>
        (await service.api.get<{ items: Execution[] }>(`/api/executions/${parent.id}/children`)).body.items.find(
          ({ status }) => status === 'waiting_event',
        )?.id,
    );

    await temporal.workflow.getHandle(terminated.id).terminate('from the UI');
    for (const id of [lost.id, childId]) await forget(id);
    await age([lost.id, childId]);
    const orphan = await insertOrphan();

    expect(await service.untilEnded(terminated.id, REPAIRED_WITHIN_MS)).toMatchObject({
      status: 'failed',
      error: { code: 'execution_terminated' },
    });
    expect(['cancelled', 'expired']).toContain((await service.approval(approval.id)).status);
    expect((await service.api.refused(`/api/approvals/${approval.id}/approve`)).status).toBe(409);
    expect(await service.untilEnded(lost.id, REPAIRED_WITHIN_MS)).toMatchObject({
      status: 'failed',
      error: { code: 'execution_terminated' },
    });
    expect(await service.untilEnded(parent.id, REPAIRED_WITHIN_MS)).toMatchObject({
      status: 'failed',
      error: { code: 'subworkflow_failed', details: { executionId: childId } },
    });
    if (orphan !== undefined) expect((await service.untilEnded(orphan, REPAIRED_WITHIN_MS)).status).toBe('completed');
    for (const { id } of [terminated, lost, parent]) await service.expectGapFreeLog(id);
    await expect(temporal.workflow.getHandle(lost.id).describe()).rejects.toThrow();
    expect(stub.calls('/never')).toHaveLength(0);
  });

  /** As after the end of the namespace's retention, or a server restored from an old copy. */
  async function forget(workflowId: string): Promise<void> {
    const { workflowService } = await service.temporalClient();
    const handle = (await service.temporalClient()).workflow.getHandle(workflowId);
    // The answer to a start comes before Temporal's own.
    await service.until(`Temporal to know ${workflowId}`, async () =>
      handle.describe().then(
        () => true,
        () => undefined,
      ),
    );
    await workflowService.deleteWorkflowExecution({ namespace: service.servers.namespace, workflowExecution: { workflowId } });
    await service.until(`Temporal to forget ${workflowId}`, async () =>
      handle.describe().then(
        () => undefined,
        () => true,
      ),
    );
  }

  /** The reconciler only asks Temporal about rows untouched for a minute. */
  async function age(ids: readonly string[]): Promise<void> {
    await inDatabase((database) =>
      database.query(`update executions set updated_at = now() - interval '10 minutes' where id = any($1)`, [ids]),
    );
  }

  /** What a gateway leaves that was killed between the row and Temporal's start: a pending row without its workflow. */
  async function insertOrphan(): Promise<string | undefined> {
    await service.worker.kill();
    const { id } = await service.run([call('c', stub, '/orphan')]);
    await forget(id);
    await service.startWorker();
    const { status } = await service.execution(id);
    if (status !== 'pending') return undefined;
    await age([id]);
    return id;
  }

  async function inDatabase(run: (database: Database) => Promise<unknown>): Promise<void> {
    const database = new Database({ connectionString: service.servers.databaseUrl });
    await database.connect();
    try {
      await run(database);
    } finally {
      await database.end();
    }
  }
});
