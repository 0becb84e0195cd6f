import { createHash } from 'node:crypto';
import { typeid } from 'typeid-js';
import type { StepInstance } from '../engine/types.js';

export type IdPrefix =
  | 'wf'
  | 'exe'
  | 'apr'
  | 'vot'
  | 'ses'
  | 'msg'
  | 'key'
  | 'usr'
  | 'val'
  | 'cmd'
  | 'aud'
  | 'trg'
  | 'dlv'
  | 'trn'
  | 'prp'
  | 'pst'
  | 'wrk';

/** A new id such as `exe_01h…`: prefixed, sortable by time. */
export const newId = (prefix: IdPrefix): string => typeid(prefix).toString();

const SEPARATOR = '\u001f';

/** A short text that stands for its parts in an index, which paths of deep definitions would not fit. */
export const keyOf = (...parts: readonly (string | number)[]): string =>
  createHash('sha256').update(parts.join(SEPARATOR)).digest('base64url').slice(0, 27);

/** The key of a step instance within its execution. Pure. */
export const instanceKey = ({ stepId, iterationPath, attempt }: StepInstance): string => keyOf(stepId, iterationPath, attempt);
