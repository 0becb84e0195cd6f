import { AppError } from '../errors.js';

/**
 * SQLSTATE classes and codes that mean: not now. 08 connection, 57P server going down, 53 out of resources, 25P03 idle in a transaction,
 * 57014 took too long, 55P03 lock not to be had; 40001 and 40P01 conflicts, when trying again at once has not helped.
 */
const AWAY_STATES = /^(?:08|57P0|57014|53|25P03|55P03|40001|40P01)/;
const AWAY_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'P1001',
  'P1002',
  'P1008',
  'P1017',
  'P2024',
]);
const AWAY_TEXT =
  /Connection terminated|connection timeout|timeout exceeded when trying to connect|Client has encountered a connection error|the database system is|Can't reach database server|pool after calling end/i;
const RETRIED_STATES = new Set(['40001', '40P01']);

const codeOf = (error: unknown): string => {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
};

/** Whether an error of `pg` or Prisma means that PostgreSQL cannot be reached now. */
export function isAway(error: unknown): boolean {
  const code = codeOf(error);
  if (AWAY_STATES.test(code) || AWAY_CODES.has(code)) return true;
  if (error instanceof AggregateError) return error.errors.some(isAway);
  return error instanceof Error && (AWAY_TEXT.test(error.message) || (error.cause !== undefined && isAway(error.cause)));
}

/** Whether the transaction may simply be tried again. */
export const isRetriedConflict = (error: unknown): boolean => RETRIED_STATES.has(codeOf(error));

interface PrismaUniqueError {
  readonly code: 'P2002';
  readonly meta?: { readonly driverAdapterError?: { readonly cause?: { readonly constraint?: { readonly index?: string } } } };
}

/** The name of the unique constraint that refused a row, whether `pg` or Prisma met it; undefined for any other error. */
export function violatedIndex(error: unknown): string | undefined {
  const code = codeOf(error);
  if (code === '23505') return (error as { constraint?: string }).constraint ?? '';
  if (code === 'P2002') return (error as PrismaUniqueError).meta?.driverAdapterError?.cause?.constraint?.index ?? '';
  return undefined;
}

/** The same fault as callers know it: `unavailable` when PostgreSQL is away, else unchanged. */
export function toDatabaseError(error: unknown): unknown {
  if (error instanceof AppError || !isAway(error)) return error;
  return new AppError('unavailable', 'PostgreSQL cannot be reached', { part: 'postgres', retryAfterSeconds: 1 }, { cause: error });
}
