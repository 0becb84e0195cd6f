/** Problem documents (RFC 9457) as every error is answered: `application/problem+json`. Pure. */
import { z } from 'zod';
import type { AppError, ErrorCode } from '../errors.js';

/** The status of each code; a new code does not compile until it has one. */
const HTTP_STATUS = {
  bad_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  self_modification_not_allowed: 403,
  approver_not_allowed: 403,
  agent_cannot_decide: 403,
  tool_denied: 403,
  tool_refused_in_workflow_session: 403,
  not_found: 404,
  tool_unknown: 404,
  secret_not_found: 404,
  method_not_allowed: 405,
  idempotency_key_reused: 409,
  workflow_disabled: 409,
  slug_taken: 409,
  email_taken: 409,
  slack_user_taken: 409,
  persona_name_taken: 409,
  execution_ended: 409,
  rerun_not_possible: 409,
  approval_settled: 409,
  already_voted: 409,
  proposal_stale: 409,
  proposal_expired: 409,
  proposal_not_approved: 409,
  webhook_path_taken: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  validation_failed: 422,
  definition_invalid: 422,
  definition_too_large: 422,
  depth_exceeded: 422,
  subworkflow_not_found: 422,
  summary_required: 422,
  rate_limited: 429,
  concurrency_limit: 429,
  event_backlog_full: 429,
  message_backlog_full: 429,
  internal_error: 500,
  draft_failed: 502,
  unavailable: 503,
} satisfies Record<ErrorCode, number>;

export const ProblemSchema = z
  .object({
    code: z.string(),
    severity: z.enum(['error', 'warning']),
    path: z.string().describe('JSON pointer to the place, such as /steps/2/then/0'),
    stepId: z.string().exactOptional(),
    message: z.string(),
    suggestion: z.string().exactOptional(),
    column: z.number().int().exactOptional().describe('In an expression: the character at fault, from 1'),
  })
  .describe('One fault or warning');
export type Problem = z.infer<typeof ProblemSchema>;

export const ProblemDocumentSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string().describe('Stable, snake_case'),
    requestId: z.string(),
    problems: z.array(ProblemSchema).exactOptional(),
  })
  .describe('What went wrong. Some codes add fields of their own.');
export type ProblemDocument = z.infer<typeof ProblemDocumentSchema>;

export interface ProblemReply {
  readonly document: ProblemDocument;
  readonly headers: { readonly [name: string]: string };
}

/** What codes carry, as far as the answer's head depends on it. */
interface OwnFields {
  readonly retryAfterSeconds?: number;
  readonly allow?: readonly string[];
  readonly [name: string]: unknown;
}

/** The status of a code. */
export const statusOf = (code: ErrorCode): number => HTTP_STATUS[code];

/** An error as its answer: the code's own data are fields beside the common ones, and never replace them. */
export function toProblemReply(error: AppError, requestId: string): ProblemReply {
  const data: OwnFields = { ...error.data };
  return {
    document: {
      ...data,
      type: `urn:signalbox:problem:${error.code}`,
      title: titleOf(error.code),
      status: HTTP_STATUS[error.code],
      detail: error.message,
      code: error.code,
      requestId,
    },
    headers: {
      ...(data.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(data.retryAfterSeconds) }),
      ...(data.allow === undefined ? {} : { Allow: data.allow.join(', ') }),
      ...(error.code === 'unauthenticated' ? { 'WWW-Authenticate': 'Bearer realm="signalbox"' } : {}),
    },
  };
}

function titleOf(code: string): string {
  const words = code.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
