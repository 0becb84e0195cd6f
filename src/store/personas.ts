import { AppError } from '../errors.js';
import type { Persona } from '../generated/prisma/client.js';
import type { Database } from './database.js';
import { violatedIndex } from './database-error.js';

/** Who an agent can be: what is said to the model before anything else, and perhaps a model of its own. */
export interface PersonaRecord {
  readonly id: string;
  readonly name: string;
  readonly prompt: string;
  readonly model: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export type PersonaContent = Pick<PersonaRecord, 'name' | 'prompt' | 'model'>;

/** An owner's personas in order of name. */
export async function listPersonas(db: Database, ownerId: string): Promise<PersonaRecord[]> {
  const rows = await db.with((prisma) => prisma.persona.findMany({ where: { ownerId }, orderBy: [{ nameKey: 'asc' }, { id: 'asc' }] }));
  return rows.map(toRecord);
}

/** An owner's persona by id, or else by name in any case; undefined: none, or another owner's. */
export async function getPersona(db: Database, ownerId: string, idOrName: string): Promise<PersonaRecord | undefined> {
  const rows = await db.with((prisma) =>
    prisma.persona.findMany({ where: { ownerId, OR: [{ id: idOrName }, { nameKey: idOrName.toLowerCase() }] } }),
  );
  const row = rows.find(({ id }) => id === idOrName) ?? rows[0];
  return row === undefined ? undefined : toRecord(row);
}

/** Makes the persona of this id, or changes it. @throws AppError persona_name_taken by another of the owner's */
export async function putPersona(
  db: Database,
  ownerId: string,
  id: string,
  content: PersonaContent,
): Promise<{ readonly persona: PersonaRecord; readonly created: boolean }> {
  const fields = { ...content, nameKey: content.name.toLowerCase() };
  const where = { ownerId_id: { ownerId, id } };
  try {
    const updatedAt = new Date();
    const row = await db.with((prisma) =>
      prisma.persona.upsert({
        where,
        create: { ownerId, id, ...fields, createdAt: updatedAt, updatedAt },
        update: { ...fields, updatedAt },
      }),
    );
    return { persona: toRecord(row), created: row.createdAt.getTime() === updatedAt.getTime() };
  } catch (error) {
    if (violatedIndex(error) === 'personas_owner_id_name_key_key')
      throw new AppError('persona_name_taken', `Another persona is called ${content.name}`, { name: content.name }, { cause: error });
    throw error;
  }
}

/** Whether there was one to delete. */
export async function deletePersona(db: Database, ownerId: string, id: string): Promise<boolean> {
  const { count } = await db.with((prisma) => prisma.persona.deleteMany({ where: { ownerId, id } }));
  return count > 0;
}

const toRecord = ({ id, name, prompt, model, createdAt, updatedAt }: Persona): PersonaRecord => ({
  id,
  name,
  prompt,
  model,
  createdAt: createdAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
});
