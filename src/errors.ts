/**
 * Every fault that a caller can be told of. Codes are stable; `api/` maps them to HTTP statuses in one table over ErrorCode, so
 * that a new code does not compile until it has one. Errors lose their class across Temporal: compare codes there.
 */

/** The data that a code carries; what a caller sees as the problem's extra fields. */
interface ErrorDataByCode {
  bad_request: object;
  unauthenticated: object;
  forbidden: object;
  /** `kind` is the word for the missing thing, such as `execution`. */
  not_found: { readonly kind: string; readonly id: string };
  method_not_allowed: { readonly allow: readonly string[] };
  payload_too_large: { readonly limitBytes: number };
  unsupported_media_type: object;
  validation_failed: { readonly problems: readonly ProblemData[] };
  definition_invalid: { readonly problems: readonly ProblemData[] };
  definition_too_large: { readonly bytes: number; readonly limitBytes: number };
  rate_limited: { readonly retryAfterSeconds: number };
  concurrency_limit: {
    readonly reason: 'per_user_limit_exceeded' | 'global_limit_exceeded';
    readonly activeUser: number;
    readonly activeGlobal: number;
    readonly retryAfterSeconds: number;
  };
  event_backlog_full: { readonly waiting: number; readonly waitingBytes: number };
  message_backlog_full: { readonly waiting: number };
  idempotency_key_reused: { readonly key: string };
  workflow_disabled: { readonly workflowId: string };
  slug_taken: { readonly slug: string };
  email_taken: { readonly email: string };
  slack_user_taken: { readonly slackUserId: string };
  persona_name_taken: { readonly name: string };
  execution_ended: { readonly executionId: string; readonly executionStatus: string };
  rerun_not_possible: { readonly reason: string; readonly approvalId?: string; readonly stepId?: string; readonly iterationPath?: string };
  approver_not_allowed: { readonly approvalId: string };
  agent_cannot_decide: object;
  approval_settled: {
    readonly approvalId: string;
    readonly approvalStatus: string;
    readonly decidedBy: readonly { readonly id: string; readonly name: string }[];
    readonly decidedAt: string | null;
  };
  already_voted: { readonly approvalId: string };
  proposal_stale: object;
  proposal_expired: object;
  proposal_not_approved: object;
  self_modification_not_allowed: object;
  webhook_path_taken: { readonly path: string };
  draft_failed: { readonly attempts: number; readonly problems: readonly (readonly ProblemData[])[] };
  depth_exceeded: { readonly maxDepth: number };
  subworkflow_not_found: { readonly workflow: string; readonly version?: string };
  tool_unknown: { readonly toolId: string };
  tool_denied: { readonly toolId: string };
  tool_refused_in_workflow_session: { readonly toolId: string };
  summary_required: { readonly toolId: string };
  secret_not_found: { readonly name: string };
  /** PostgreSQL or Temporal cannot be reached now; the same call may succeed later. */
  unavailable: { readonly part: 'postgres' | 'temporal'; readonly retryAfterSeconds: number };
  internal_error: object;
}

/** A fault in a definition or in inputs, as definition/ reports it. */
export interface ProblemData {
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly path: string;
  readonly stepId?: string;
  readonly message: string;
  readonly suggestion?: string;
}

export type ErrorCode = keyof ErrorDataByCode;
export type ErrorData<C extends ErrorCode> = ErrorDataByCode[C];

/** A fault with a stable code and the data that explains it. */
export class AppError<C extends ErrorCode = ErrorCode> extends Error {
  constructor(
    readonly code: C,
    message: string,
    readonly data: ErrorData<C>,
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, options);
    this.name = 'AppError';
  }
}

/** Whether an error is an AppError of this code. */
export function hasCode<C extends ErrorCode>(error: unknown, code: C): error is AppError<C> {
  return error instanceof AppError && error.code === code;
}

/** Absent, or another owner's: the two are not told apart. */
export const notFound = (kind: string, id: string): AppError<'not_found'> => new AppError('not_found', `No ${kind} ${id}`, { kind, id });
