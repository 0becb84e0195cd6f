import type { GateRecord } from '../../store/gate-record.js';
import type { PostRecord } from '../../store/gate-posts.js';
import { sendHttp, type HttpClient } from '../../tools/http/send-http.js';

const TIMEOUT_MS = 30_000;

/**
 * POSTs what a notify step posts, and which gate it is. The same telling has the same `Idempotency-Key`, however often it is sent.
 * @throws StepFault as `http:request` does
 */
export async function postWebhook(http: HttpClient, url: string, post: PostRecord, gate: GateRecord): Promise<void> {
  const body = {
    content: gate.prompt ?? '',
    executionId: gate.executionId,
    stepId: gate.stepId,
    workflowName: gate.workflowName,
    at: post.createdAt,
    event: `approval.${post.cause}`,
    approvalId: gate.id,
    iterationPath: gate.iterationPath,
    status: gate.status,
    deadline: gate.deadline,
    escalatedTo: [...gate.escalatedTo],
  };
  const message = { url, method: 'POST', headers: {}, query: {}, body, timeoutMs: TIMEOUT_MS };
  await sendHttp(http, message, {
    idempotencyKey: post.id,
    signal: new AbortController().signal,
    redact: (text) => text,
    ownerId: gate.ownerId,
    executionId: gate.executionId,
    sessionId: gate.sessionId,
  });
}
