/** Personas: who an agent can be. */
import { notFound } from '../errors.js';
import {
  deletePersona as deleteRow,
  getPersona as getRow,
  listPersonas as listRows,
  putPersona as putRow,
  type PersonaContent,
  type PersonaRecord,
} from '../store/personas.js';
import { audit } from './actor.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';

/** One's own, in order of name. @throws AppError forbidden */
export async function listPersonas(deps: OperationDeps, principal: Principal): Promise<{ readonly items: PersonaRecord[] }> {
  authorize(principal, 'read');
  return { items: await listRows(deps.db, principal.userId) };
}

/** @throws AppError forbidden, not_found */
export async function getPersona(
  deps: OperationDeps,
  principal: Principal,
  { id }: { readonly id: string },
): Promise<{ readonly persona: PersonaRecord }> {
  authorize(principal, 'read');
  const persona = await getRow(deps.db, principal.userId, id);
  if (persona === undefined) throw notFound('persona', id);
  return { persona };
}

/** Makes it, or puts this in place of what it was. @throws AppError forbidden, persona_name_taken */
export async function putPersona(
  deps: OperationDeps,
  principal: Principal,
  { id, ...content }: PersonaContent & { readonly id: string },
): Promise<{ readonly persona: PersonaRecord; readonly created: boolean }> {
  authorize(principal, 'write');
  const result = await putRow(deps.db, principal.userId, id, content);
  const { name, model } = content;
  await audit(deps, principal, { action: 'persona.written', targetType: 'persona', targetId: id, details: { name, model } });
  return result;
}

/** @throws AppError forbidden, not_found */
export async function deletePersona(deps: OperationDeps, principal: Principal, { id }: { readonly id: string }): Promise<void> {
  authorize(principal, 'write');
  if (!(await deleteRow(deps.db, principal.userId, id))) throw notFound('persona', id);
  await audit(deps, principal, { action: 'persona.deleted', targetType: 'persona', targetId: id });
}
