/** The beginning of an agent step: its prompt filled, recorded and posted; who answers it; how long its first request is. */
import type { AgentPromptPlan } from '../../definition/plan.js';
import { toDisplay } from '../../definition/value-parts.js';
import type { Json, Value } from '../../definition/value.js';
import { instanceId } from '../../engine/run.js';
import { renderStepInput } from '../../engine/step-input.js';
import type { AgentOpened } from '../../engine/agent/types.js';
import type { ActivityCommand, EngineEvent } from '../../engine/types.js';
import type { PersonaRecord } from '../../store/personas.js';
import { recordEvents } from '../../store/projection.js';
import { StepFault } from '../../tools/step-fault.js';
import type { Common } from '../contract.js';
import { FullScope } from '../full-scope.js';
import { toRecordedInput } from '../large-values.js';
import { charactersOf } from '../model/model-message.js';
import type { RunFacts } from '../run-facts.js';
import { failedStep, isPlatformFault, redactedError, toStepError } from '../step-error.js';
import { authorOf } from './agent-author.js';
import type { AgentParts } from './agent-parts.js';
import { expanded, placeOf } from './agent-place.js';
import { agentRequest, personaOf } from './agent-request.js';

export type OpenInput = Common & Omit<Extract<ActivityCommand, { readonly name: 'agent_open' }>, 'kind' | 'id' | 'name'>;
export type Opened = AgentOpened & { readonly bundle?: string; readonly closed?: true };

/** May repeat: the record, the message and the stored list are the same each time. @throws ApplicationFailure with the step's failure */
export async function openAgent(parts: AgentParts, input: OpenInput): Promise<Opened> {
  const facts = await parts.facts.of(input);
  try {
    return await open(parts, facts, input);
  } catch (error) {
    if (isPlatformFault(error)) throw error;
    throw failedStep({ ended: 'failed', at: Date.now(), error: redactedError(toStepError(error, input.instance), facts.redactor) });
  }
}

async function open(parts: AgentParts, facts: RunFacts, input: OpenInput): Promise<Opened> {
  const step = facts.step(input.instance.stepId) as AgentPromptPlan;
  const { prompt, recorded } = await filled(parts, facts, step, input);
  const { closed } = await recordEvents(parts.db, input.executionId, input.carry, [started(input, recorded)]);
  const at = Math.max(Date.now(), input.nowMs);
  if (closed) return { at, models: [], characters: 0, closed: true };
  const persona = await personaOf(parts.db, input.ownerId, step);
  const models = modelsOf(step, persona, parts.models);
  if (models.length === 0) throw noModel();
  await parts.turns.postPrompt(
    { ...placeOf(input, authorOf(step)), author: input.workflowName },
    prompt,
    `prompt:${input.executionId}:${instanceId(input.instance)}`,
  );
  const request = await agentRequest(parts, facts, { ...input, misfits: [] });
  return { at, models, characters: charactersOf(request), ...(await bundled(facts, input)) };
}

/** Without secrets: what a model is told is a record as well. */
async function filled(
  parts: AgentParts,
  facts: RunFacts,
  step: AgentPromptPlan,
  input: OpenInput,
): Promise<{ readonly prompt: string; readonly recorded: Value }> {
  const full = new FullScope(input.scope, input.nowMs, facts.getValue, facts.secrets);
  try {
    const value = await full.run((reader) => renderStepInput(step, reader));
    const plain = facts.redactor.json(await full.plain(value)) as { readonly prompt?: Json };
    const redacted = facts.redactor.isIdle ? value : { ...value, v: facts.redactor.json(value.v) };
    return { prompt: toText(plain.prompt ?? ''), recorded: await toRecordedInput(redacted, facts.putValue) };
  } catch (error) {
    // The step has begun, and fails with this.
    if (!isPlatformFault(error)) await recordEvents(parts.db, input.executionId, input.carry, [started(input, { v: null })]);
    throw error;
  }
}

const toText = (json: Json): string => (typeof json === 'string' ? json : JSON.stringify(json));

function started({ instance, nowMs }: OpenInput, input: Value): EngineEvent {
  return {
    kind: 'step.started',
    ordinal: '0',
    at: Math.max(Date.now(), nowMs),
    instance,
    stepType: 'agent_prompt',
    data: { input: toDisplay(input) },
    record: { input },
  };
}

/** The step's own, then the user's (that of the persona), then the deployment's; each once. Pure. */
export function modelsOf(
  { model, models = [] }: Pick<AgentPromptPlan, 'model' | 'models'>,
  persona: Pick<PersonaRecord, 'model'> | undefined,
  deployment: readonly string[],
): readonly string[] {
  const wanted = [model, ...models, persona?.model, ...deployment];
  return [...new Set(wanted.filter((name): name is string => typeof name === 'string' && name !== ''))];
}

const noModel = (): StepFault =>
  new StepFault('agent_prompt_model_error', 'No model is configured: set SIGNALBOX_MODELS, or `model` on the step', {
    details: { status: null, type: 'not_configured', model: null },
  });

/** Entries of one scope beyond this are stored as one list. */
const MANY_ENTRIES = 32;

async function bundled(facts: RunFacts, { entries, own }: OpenInput): Promise<{ readonly bundle?: string }> {
  if (own <= MANY_ENTRIES) return {};
  const list = await expanded(entries.slice(-own), facts.getValue);
  return { bundle: (await facts.putValue([...list])).ref };
}
