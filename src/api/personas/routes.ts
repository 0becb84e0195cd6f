/** `/api/personas`: who an agent can be. */
import { z } from 'zod';
import { deletePersona, getPersona, listPersonas, putPersona } from '../../operations/personas.js';
import { noContent, reply, route, type Route } from '../route.js';
import { component, Instant, text } from '../shapes.js';

const tag = 'Personas';
const params = z.object({
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'Expected letters, digits, _ and -, beginning with a letter or digit; at most 64'),
});

const PersonaShape = component(
  'Persona',
  z.object({
    id: z.string().describe('Chosen by you, in the path'),
    name: z.string(),
    prompt: z.string(),
    model: z.string().nullable(),
    createdAt: Instant,
    updatedAt: Instant,
  }),
);
const PutBody = z.strictObject({
  name: text(1, 200).describe('A step names it by this, or by its id, in any case of letters'),
  prompt: text(1, 50_000).describe('Said to the model before everything else'),
  model: text(1, 200).nullable().exactOptional().describe('Used when the step names none'),
});
const PersonaAnswer = z.object({ persona: PersonaShape });

export const personaRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/personas',
    tag,
    summary: 'Your personas, by name',
    auth: 'read',
    responses: { 200: z.object({ items: z.array(PersonaShape) }) },
    handle: async ({ deps, principal }) => reply(200, await listPersonas(deps.operations, principal)),
  }),
  route({
    method: 'get',
    path: '/api/personas/:id',
    tag,
    summary: 'A persona',
    auth: 'read',
    params,
    responses: { 200: PersonaAnswer },
    handle: async ({ deps, principal, params: { id } }) => reply(200, await getPersona(deps.operations, principal, { id })),
  }),
  route({
    method: 'put',
    path: '/api/personas/:id',
    tag,
    summary: 'Make a persona, or replace it',
    auth: 'write',
    params,
    isNamed: true,
    body: PutBody,
    problems: { 409: ['persona_name_taken'] },
    responses: { 200: PersonaAnswer, 201: PersonaAnswer },
    handle: async ({ deps, principal, params: { id }, body: { name, prompt, model = null } }) => {
      const { persona, created } = await putPersona(deps.operations, principal, { id, name, prompt, model });
      return created ? reply(201, { persona }) : reply(200, { persona });
    },
  }),
  route({
    method: 'delete',
    path: '/api/personas/:id',
    tag,
    summary: 'Delete a persona',
    auth: 'write',
    params,
    responses: { 204: null },
    handle: async ({ deps, principal, params: { id } }) => {
      await deletePersona(deps.operations, principal, { id });
      return noContent;
    },
  }),
];
