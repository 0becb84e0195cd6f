import { AppError } from '../errors.js';
import type { Principal } from './principal.js';
import { denialOf, type Action } from './role-matrix.js';

/** The last line of defence: doors ask by their routes before. @throws AppError forbidden, agent_cannot_decide */
export function authorize(principal: Principal, action: Action): void {
  const denial = denialOf(principal, action);
  if (denial === 'agent_cannot_decide') throw new AppError('agent_cannot_decide', 'Only a person decides an approval', {});
  if (denial === 'forbidden') throw new AppError('forbidden', `The role ${principal.role}, or this key, may not do this: ${action}`, {});
}
