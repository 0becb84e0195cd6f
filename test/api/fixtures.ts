/** One owner with one of everything, so that each route has something to find. */
import { openGate } from '../../src/store/gates.js';
import { putValue } from '../../src/store/values.js';
import type { ApiUnderTest } from './api-under-test.js';

export interface Owned {
  readonly userId: string;
  readonly adminKey: string;
  readonly workflowId: string;
  readonly slug: string;
  readonly hash: string;
  readonly executionId: string;
  readonly approvalId: string;
  readonly sessionId: string;
  readonly valueRef: string;
  readonly keyId: string;
  readonly secretName: string;
  readonly personaId: string;
  /** Of a schedule. */
  readonly triggerId: string;
}

export const aDefinition = (name: string, steps: readonly object[] = [{ id: 'a', type: 'set', values: { x: 1 } }]): object => ({
  name,
  steps,
});

/** An admin with a workflow, an execution of it, an open gate, a large value, a key and a secret. */
export async function somebodyWithEverything(api: ApiUnderTest, name: string): Promise<Owned> {
  const admin = await api.person('admin', { name });
  const send = <Body>(method: string, path: string, body?: unknown) => api.send<Body>(method, path, { key: admin.key, body });
  const { body: saved } = await send<{ workflow: { id: string; slug: string; hash: string } }>('POST', '/api/workflows/sync', {
    name: `${name}'s`,
    data: aDefinition(`${name}'s`),
  });
  const { body: started } = await send<{ execution: { id: string; sessionId: string } }>(
    'POST',
    `/api/workflows/${saved.workflow.id}/run`,
    {},
  );
  await send('PUT', '/api/secrets/TOKEN', { value: 'hidden' });
  await send('PUT', '/api/personas/reviewer', { name: 'Reviewer', prompt: 'You review.' });
  const { body: hooked } = await send<{ trigger: { id: string } }>('POST', '/api/triggers', {
    name: 'Nightly',
    type: 'schedule',
    workflowId: saved.workflow.id,
    config: { cron: '0 2 * * *' },
  });
  const opened = await openGate(api.db, {
    ownerId: admin.id,
    executionId: started.execution.id,
    sessionId: started.execution.sessionId,
    workflowName: `${name}'s`,
    instance: { stepId: 'gate', iterationPath: '', attempt: 1 },
    prompt: 'Go on?',
    approvers: null,
    quorum: 100,
    deadlineAt: null,
    carry: null,
    at: Date.now(),
  });
  if (opened.kind !== 'gate') throw new Error('the gate did not open');
  const { body: chat } = await send<{ session: { id: string } }>('POST', '/api/sessions', { title: `${name}'s chat` });
  const { ref } = await putValue(api.db, admin.id, { large: name });
  return {
    userId: admin.id,
    adminKey: admin.key,
    workflowId: saved.workflow.id,
    slug: saved.workflow.slug,
    hash: saved.workflow.hash,
    executionId: started.execution.id,
    approvalId: opened.gate.id,
    sessionId: chat.session.id,
    valueRef: ref,
    keyId: admin.keyId,
    secretName: 'TOKEN',
    personaId: 'reviewer',
    triggerId: hooked.trigger.id,
  };
}
