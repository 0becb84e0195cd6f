import type { Json, JsonObject } from '../../definition/value.js';
import { AppError, notFound, type ProblemData } from '../../errors.js';
import { saveTrigger as saveRow, TRIGGER_TYPES, type TriggerContent, type TriggerMatch, type TriggerRecord } from '../../store/triggers.js';
import { getWorkflow, type WorkflowRecord } from '../../store/workflows.js';
import { audit } from '../actor.js';
import { authorize } from '../authorize.js';
import type { OperationDeps } from '../deps.js';
import type { Principal } from '../principal.js';
import { isAllowed } from '../role-matrix.js';
import { isWider, type GithubConfig } from './github-match.js';
import { keepSchedule } from './keep-schedule.js';
import { mergedInput, parseTrigger, type ParsedTrigger, type WebhookConfig } from './trigger-input.js';
import { toWireTrigger, type WireTrigger } from './wire-trigger.js';

/**
 * Makes a trigger, or replaces every field of the owner's one of that name (any case): what is left out gets its default. Id, creation, deliveries
 * and a schedule's pause stay.
 * @throws AppError forbidden (also a github trigger by who is no admin), validation_failed, not_found (the workflow), webhook_path_taken
 */
export async function syncTrigger(
  deps: OperationDeps,
  principal: Principal,
  input: JsonObject,
): Promise<{ readonly trigger: WireTrigger; readonly created: boolean }> {
  authorize(principal, 'write');
  const { name } = input;
  const workflow = await namedWorkflow(deps, principal, input);
  const match = { name: typeof name === 'string' ? name.trim() : '' };
  // Before anything is locked: what is wrong in itself.
  checked(input, workflow);
  const saved = await save(deps, principal, match, (current) => contentOf(principal, current, checked(input, workflow)));
  if (saved === undefined) throw new Error('A save by name found nothing to save');
  return saved;
}

/**
 * Changes what is sent and nothing else; null takes a field of the config away.
 * @throws AppError as syncTrigger, and not_found
 */
export async function updateTrigger(
  deps: OperationDeps,
  principal: Principal,
  { id, change }: { readonly id: string; readonly change: JsonObject },
): Promise<{ readonly trigger: WireTrigger }> {
  authorize(principal, 'write');
  const workflow = await namedWorkflow(deps, principal, change);
  const saved = await save(deps, principal, { id }, (current) => {
    if (current === undefined) throw notFound('trigger', id);
    // Before its fields are held against another type's.
    checkType(current, change['type']);
    const content = contentOf(principal, current, checked(mergedInput(current, withLiveSecret(current, change)), workflow));
    const sent = change['config'] as JsonObject | undefined;
    // A secret that was not sent stays; it is not among what can be read back.
    const secret = kept(sent, 'secret', content.secret);
    // Who takes the secret away wants unsigned calls, not those of the secret before.
    return { ...content, secret, secretPrevious: secret === null ? null : kept(sent, 'secretPrevious', content.secretPrevious) };
  });
  if (saved === undefined) throw notFound('trigger', id);
  return { trigger: saved.trigger };
}

const kept = (sent: JsonObject | undefined, field: string, next: string | null | undefined): string | null | undefined =>
  sent !== undefined && Object.hasOwn(sent, field) ? next : undefined;

/** For the check of what goes together: a secret that stands already counts as given. */
function withLiveSecret(current: TriggerRecord, change: JsonObject): JsonObject {
  const config = change['config'];
  if (current.secret === null || typeof config !== 'object' || config === null || Array.isArray(config) || Object.hasOwn(config, 'secret'))
    return change;
  return { ...change, config: { ...(config as JsonObject), secret: 'kept' } };
}

/** The workflow that an input names, by id or slug. `kept`: it names none, so that the one that stands is meant. */
type NamedWorkflow = WorkflowRecord | 'unknown' | 'kept';

async function namedWorkflow(deps: OperationDeps, { userId }: Principal, { workflowId }: JsonObject): Promise<NamedWorkflow> {
  if (typeof workflowId !== 'string') return 'kept';
  return (await getWorkflow(deps.db, userId, workflowId)) ?? 'unknown';
}

/** Parsed, with the workflow's id in place of its slug. */
function checked(input: JsonObject, workflow: NamedWorkflow): ParsedTrigger {
  const parsed = parseTrigger(input);
  const workflowId = JSON.stringify(input['workflowId'] ?? null).slice(0, 100);
  if ('problems' in parsed) {
    const unknown: ProblemData = {
      code: 'invalid_field',
      severity: 'error',
      path: '/workflowId',
      message: `There is no workflow ${workflowId}`,
    };
    throw refusal(workflow === 'unknown' ? [...parsed.problems, unknown] : parsed.problems);
  }
  if (workflow === 'unknown') throw notFound('workflow', workflowId);
  return workflow === 'kept' ? parsed.trigger : { ...parsed.trigger, workflowId: workflow.id };
}

function refusal(problems: readonly ProblemData[]): AppError<'validation_failed'> {
  const [first] = problems;
  const detail =
    problems.length === 1 && first !== undefined ? `${first.path}: ${first.message}` : `${problems.length} faults; see problems`;
  return new AppError('validation_failed', detail, { problems });
}

function contentOf(principal: Principal, current: TriggerRecord | undefined, next: ParsedTrigger): TriggerContent {
  checkType(current, next.type);
  checkGithub(principal, current, next);
  const { name, workflowId, enabled, config, variableMapping, secrets } = next;
  return {
    name,
    type: next.type,
    workflowId,
    enabled,
    config,
    variableMapping,
    webhookPath: next.type === 'webhook' ? (config as unknown as WebhookConfig).path : null,
    secret: secrets.secret ?? null,
    secretPrevious: secrets.secretPrevious ?? null,
  };
}

function checkType(current: TriggerRecord | undefined, next: Json | undefined): void {
  if (current === undefined || next === undefined || current.type === next || !(TRIGGER_TYPES as readonly Json[]).includes(next)) return;
  const message = `The trigger ${current.name} is a ${current.type}: its type may not become ${JSON.stringify(next)}`;
  throw refusal([{ code: 'invalid_field', severity: 'error', path: '/type', message }]);
}

/** The secret of GitHub's webhook is the deployment's: who hears of which repository is an admin's to say. */
function checkGithub(principal: Principal, current: TriggerRecord | undefined, next: ParsedTrigger): void {
  if (next.type !== 'github' || isAllowed(principal, 'admin')) return;
  if (current !== undefined && !isWider(current.config as unknown as GithubConfig, next.config as unknown as GithubConfig)) return;
  throw new AppError('forbidden', 'Only an admin creates or widens a github trigger', {});
}

async function save(
  deps: OperationDeps,
  principal: Principal,
  match: TriggerMatch,
  content: (current: TriggerRecord | undefined) => TriggerContent,
): Promise<{ readonly trigger: WireTrigger; readonly created: boolean } | undefined> {
  const saved = await saveRow(deps.db, deps.encryptionKey, principal.userId, match, content);
  if (saved === undefined) return undefined;
  const { trigger, created } = saved;
  const state = trigger.type === 'schedule' ? await keepSchedule(deps, trigger) : undefined;
  await audit(deps, principal, {
    action: created ? 'trigger.created' : 'trigger.updated',
    targetType: 'trigger',
    targetId: trigger.id,
    details: { name: trigger.name, type: trigger.type },
  });
  return { trigger: toWireTrigger(trigger, state), created };
}
