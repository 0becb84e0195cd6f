import { AppError } from '../../errors.js';
import type { TriggerRecord } from '../../store/triggers.js';
import type { ScheduleAnswer } from '../schedule-gateway.js';

/** @throws AppError validation_failed when it is no schedule */
export function requireSchedule({ name, type }: TriggerRecord): void {
  if (type === 'schedule') return;
  const problem = {
    code: 'invalid_field',
    severity: 'error',
    path: '/id',
    message: `The trigger ${name} is a ${type}, no schedule`,
  } as const;
  throw new AppError('validation_failed', problem.message, { problems: [problem] });
}

/** What Temporal said. One that it has lost is made again by the reconciler: then the call goes through. @throws AppError unavailable */
export function requireAnswer<T>(answer: ScheduleAnswer<T>, triggerId: string): T {
  if (answer.kind === 'done') return answer.value;
  const why = answer.kind === 'unknown' ? `Temporal does not know the schedule of ${triggerId} yet` : 'Temporal cannot be reached';
  throw new AppError(
    'unavailable',
    why,
    { part: 'temporal', retryAfterSeconds: 5 },
    { cause: answer.kind === 'unavailable' ? answer.error : undefined },
  );
}
