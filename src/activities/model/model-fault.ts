import { APIConnectionError, APIConnectionTimeoutError, APIError } from '@anthropic-ai/sdk';
import { StepFault } from '../../tools/step-fault.js';
import { retryAfterMs } from '../../tools/http/headers.js';

const RETRYABLE_TYPES = new Set([
  'overloaded_error',
  'rate_limit_error',
  'api_error',
  'timeout_error',
  'connection_error',
  'stream_interrupted',
]);
const RETRYABLE_STATUS = (status: number): boolean => status === 408 || status === 409 || status === 429 || status >= 500;

/**
 * An error of the model SDK as `agent_prompt_model_error` with details `{ status, type, model }`; a StepFault passes through.
 * Within a started stream errors come without a status, so the type is asked then; and a cut stream is no API error at all.
 */
export function toModelFault(error: unknown, model: string): StepFault {
  if (error instanceof StepFault) return error;
  const { status, type } = kindOf(error);
  const retryable = status === null ? RETRYABLE_TYPES.has(type) : RETRYABLE_STATUS(status);
  const wait = error instanceof APIError ? waitOf(error.headers as Headers | undefined) : undefined;
  const message = error instanceof Error ? error.message : String(error);
  return new StepFault('agent_prompt_model_error', `Model ${model}: ${message}`, {
    retryable,
    details: { status, type, model },
    cause: error,
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
  });
}

const FAILOVER_STATUS: ReadonlySet<number> = new Set([401, 402, 403, 404, 429, 529]);
const FAILOVER_TYPES: ReadonlySet<string> = new Set([
  'authentication_error',
  'billing_error',
  'permission_error',
  'not_found_error',
  'rate_limit_error',
  'overloaded_error',
]);
/** Some of these come as plain 400s, known by their words alone. */
const FAILOVER_WORDS =
  /credit balance|billing|quota|\bmodel\b.{0,80}(not supported|unsupported|not available|does not exist|not found|unknown)/is;

/** Whether another model may do better: this one is not to be had, or had nothing to say. */
export function isFailover({ code, details, message }: StepFault): boolean {
  if (code === 'agent_prompt_empty_response') return true;
  if (code !== 'agent_prompt_model_error') return false;
  const { status = null, type = '' } = (details ?? {}) as { status?: number | null; type?: string };
  if (status !== null && FAILOVER_STATUS.has(status)) return true;
  return FAILOVER_TYPES.has(type) || ((status === 400 || status === null) && FAILOVER_WORDS.test(message));
}

function kindOf(error: unknown): { readonly status: number | null; readonly type: string } {
  if (error instanceof APIConnectionTimeoutError) return { status: null, type: 'timeout_error' };
  if (error instanceof APIConnectionError) return { status: null, type: 'connection_error' };
  if (error instanceof APIError)
    return { status: (error.status as number | undefined) ?? null, type: (error.type as string | null) ?? 'api_error' };
  return { status: null, type: 'stream_interrupted' };
}

function waitOf(headers: Headers | undefined): number | undefined {
  const exact = Number(headers?.get('retry-after-ms') ?? NaN);
  return Number.isFinite(exact) ? exact : retryAfterMs(headers?.get('retry-after') ?? undefined, Date.now());
}
