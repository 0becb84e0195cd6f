import type { Value } from '../../definition/runtime.js';
import type { StepError } from '../types.js';

/** What stands in `results` for a pass that failed. */
export const failedItem = ({ code, message }: StepError): Value => ({ v: { error: { code, message } } });
