/** What a trigger may be: one schema for the API, the tools and the document; every fault of an input is told at once. Pure. */
import { z } from 'zod';
import { parseDuration } from '../../definition/duration.js';
import type { Json, JsonObject } from '../../definition/value.js';
import type { ProblemData } from '../../errors.js';
import { TRIGGER_TYPES, type TriggerKind } from '../../store/triggers.js';
import { OVERLAPS } from '../schedule-gateway.js';
import { isCron, parseCron, parseTimeZone } from './cron.js';
import { mappingProblems, parsePath, type VariableMapping } from './variable-mapping.js';

export const WEBHOOK_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE', 'GET'] as const;
const SECRET_FIELDS = ['secret', 'secretPrevious'] as const;
const MIN_WINDOW_MS = 10_000;
const MAX_JITTER_MS = 86_400_000;

const Name = z.string().min(1).max(200);
const Secret = z.string().min(1).max(500);
const duration = (minMs: number, maxMs: number) =>
  z.union([z.string(), z.number()]).superRefine((value, context) => {
    const ms = parseDuration(value);
    if (ms === undefined)
      context.addIssue({
        code: 'custom',
        message: 'Expected milliseconds, or one number and one unit such as "4h"',
        params: { code: 'duration_invalid' },
      });
    else if (ms < minMs || ms > maxMs) context.addIssue({ code: 'custom', message: `Expected ${minMs} to ${maxMs} milliseconds` });
  });

const WebhookConfigSchema = z.strictObject({
  path: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,128}$/, 'Expected 1-128 letters, digits and hyphens')
    .refine((path) => path.toLowerCase() !== 'github', 'The path github is taken by GitHub’s own webhook'),
  method: z.enum(WEBHOOK_METHODS).default('POST'),
  secret: Secret.optional().describe('Written, never read back'),
  secretPrevious: Secret.optional().describe('Taken as well while senders change over'),
  event: z
    .strictObject({
      name: Name,
      executionId: z.string().refine((path) => parsePath(path) !== undefined, 'Expected a path into the payload such as $.query.execution'),
    })
    .optional()
    .describe('Instead of starting the workflow: an event for an execution of it that waits, whose id stands at this path'),
});
const ScheduleConfigSchema = z.strictObject({
  cron: z
    .string()
    .max(200)
    .superRefine((cron, context) => {
      const parsed = parseCron(cron);
      if (!isCron(parsed)) context.addIssue({ code: 'custom', message: parsed.message, params: { code: parsed.code } });
    }),
  timezone: z
    .string()
    .refine((zone) => parseTimeZone(zone) !== undefined, 'Expected a time zone such as Europe/Berlin')
    .overwrite((zone) => parseTimeZone(zone) ?? zone)
    .default('UTC'),
  overlap: z.enum(OVERLAPS).default('skip'),
  catchupWindow: duration(MIN_WINDOW_MS, Number.MAX_SAFE_INTEGER).default('4h'),
  jitter: duration(0, MAX_JITTER_MS).default('0s'),
  target: z.enum(['workflow', 'orchestrator']).default('workflow'),
  prompt: z.string().min(1).max(32_000).optional(),
  variables: z.record(z.string(), z.json()).optional(),
});
const GithubConfigSchema = z.strictObject({
  repos: z
    .array(z.string().regex(/^[A-Za-z0-9_.-]{1,100}\/[A-Za-z0-9_.-]{1,100}$/, 'Expected owner/name'))
    .min(1)
    .max(100),
  events: z
    .array(z.string().regex(/^[a-z_]{1,100}(?:\.[a-z_]{1,100})?$/, 'Expected an event such as pull_request or pull_request.opened'))
    .min(1)
    .max(100),
  filter: z
    .strictObject({
      actions: z.array(Name).min(1).max(100).optional(),
      branch: z.union([Name, z.array(Name).min(1).max(100)]).optional(),
      labels: z.array(Name).min(1).max(100).optional(),
    })
    .optional(),
});
const CONFIGS = { manual: z.strictObject({}), webhook: WebhookConfigSchema, schedule: ScheduleConfigSchema, github: GithubConfigSchema };

export type WebhookConfig = Omit<z.output<typeof WebhookConfigSchema>, (typeof SECRET_FIELDS)[number]>;
export type ScheduleConfig = z.output<typeof ScheduleConfigSchema>;

const common = {
  name: z.string().max(200).regex(/\S/, 'Expected a name'),
  workflowId: z.string().min(1).max(200).nullable().optional().describe('An id or a slug'),
  enabled: z.boolean().default(true),
  variableMapping: z.record(z.string(), z.string()).default({}).describe('Input → path into the payload, such as $.a.b[0]'),
};
/** A whole trigger as it is written. */
export const TriggerInputSchema = z.discriminatedUnion('type', [
  z.strictObject({ ...common, type: z.literal('manual'), config: CONFIGS.manual.prefault({}) }),
  z.strictObject({ ...common, type: z.literal('webhook'), config: CONFIGS.webhook }),
  z.strictObject({ ...common, type: z.literal('schedule'), config: CONFIGS.schedule }),
  z.strictObject({ ...common, type: z.literal('github'), config: CONFIGS.github }),
]);

export interface ParsedTrigger {
  readonly name: string;
  readonly type: TriggerKind;
  readonly workflowId: string | null;
  readonly enabled: boolean;
  /** With its defaults, without secrets. */
  readonly config: JsonObject;
  readonly secrets: { readonly secret?: string; readonly secretPrevious?: string };
  readonly variableMapping: VariableMapping;
}

/** The trigger that an input describes, or everything that is wrong with it. */
export function parseTrigger(input: JsonObject): { readonly trigger: ParsedTrigger } | { readonly problems: readonly ProblemData[] } {
  const parsed = TriggerInputSchema.safeParse(input);
  const problems = [...(parsed.success ? [] : parsed.error.issues.flatMap((issue) => problemsOf(issue, input))), ...contradictions(input)];
  if (!parsed.success || problems.length > 0) return { problems };
  const { name, type, workflowId, enabled, variableMapping, config } = parsed.data;
  const { secret, secretPrevious, ...rest } = config as { readonly secret?: string; readonly secretPrevious?: string };
  const secrets = { ...(secret === undefined ? {} : { secret }), ...(secretPrevious === undefined ? {} : { secretPrevious }) };
  return {
    trigger: { name: name.trim(), type, workflowId: workflowId ?? null, enabled, variableMapping, secrets, config: rest },
  };
}

/** What fits by itself but not together. Read from the raw input, so that it is told beside everything else. */
function contradictions(input: JsonObject): ProblemData[] {
  const { type, workflowId, variableMapping } = input;
  const config = objectOf(input['config']);
  const problems: ProblemData[] = [];
  const add = (code: string, path: string, message: string): void => void problems.push({ code, severity: 'error', path, message });
  const isOrchestrator = type === 'schedule' && config['target'] === 'orchestrator';
  const isKnownType = (TRIGGER_TYPES as readonly Json[]).includes(type ?? null);
  if (isOrchestrator) {
    if (config['prompt'] === undefined)
      add('missing_field', '/config/prompt', 'prompt is required: a schedule for the orchestrator says what to ask it');
    if (workflowId !== undefined && workflowId !== null)
      add('invalid_field', '/workflowId', 'A schedule for the orchestrator has no workflow');
    if (config['variables'] !== undefined) add('invalid_field', '/config/variables', 'A schedule for the orchestrator has no variables');
  } else if (isKnownType && (workflowId === undefined || workflowId === null))
    add('missing_field', '/workflowId', 'workflowId is required: what is to be started');
  if (type === 'schedule' && !isOrchestrator && config['prompt'] !== undefined)
    add('invalid_field', '/config/prompt', 'A prompt is for target orchestrator');
  const mapping = objectOf(variableMapping);
  if (type === 'schedule' && Object.keys(mapping).length > 0)
    add('invalid_field', '/variableMapping', 'A tick has no payload to map: use config.variables');
  else if (Object.values(mapping).every((path) => typeof path === 'string')) problems.push(...mappingProblems(mapping as VariableMapping));
  if (type === 'webhook' && config['event'] !== undefined && Object.keys(mapping).length > 0)
    add('invalid_field', '/variableMapping', 'A webhook with config.event starts nothing: its payload is the event’s');
  if (type === 'webhook' && config['secretPrevious'] !== undefined && config['secret'] === undefined)
    add('missing_field', '/config/secret', 'secretPrevious is the one before secret: give that too');
  return problems;
}

const objectOf = (value: Json | undefined): JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};

function problemsOf(issue: z.core.$ZodIssue, input: JsonObject): ProblemData[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      code: 'unknown_field',
      severity: 'error',
      path: pointer([...issue.path, key]),
      message: `There is no field ${JSON.stringify(key.slice(0, 100))} here`,
    }));
  const path = pointer(issue.path);
  const given = issue.path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined),
    input,
  );
  if (issue.code === 'invalid_union' && path === '/type')
    return [
      {
        code: given === undefined ? 'missing_field' : 'invalid_field',
        severity: 'error',
        path,
        message: `type: expected one of ${TRIGGER_TYPES.join(', ')}`,
      },
    ];
  if (given === undefined)
    return [{ code: 'missing_field', severity: 'error', path, message: `${path.slice(path.lastIndexOf('/') + 1)} is required` }];
  const code = issue.code === 'custom' ? (issue.params?.['code'] as string | undefined) : undefined;
  return [{ code: code ?? 'invalid_field', severity: 'error', path, message: issue.message }];
}

const pointer = (path: readonly PropertyKey[]): string =>
  path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** The whole input that a partial one means for a trigger that is there: null takes a field of the config away. */
export function mergedInput(
  current: Pick<ParsedTrigger, 'name' | 'type' | 'workflowId' | 'enabled' | 'config' | 'variableMapping'>,
  change: JsonObject,
): JsonObject {
  const { config: changedConfig, ...rest } = change;
  const isObject = typeof changedConfig === 'object' && changedConfig !== null && !Array.isArray(changedConfig);
  const config = Object.fromEntries(
    Object.entries({ ...current.config, ...(isObject ? (changedConfig as JsonObject) : {}) }).filter(([, value]) => value !== null),
  );
  const { name, type, workflowId, enabled, variableMapping } = current;
  return {
    name,
    type,
    workflowId,
    enabled,
    variableMapping,
    ...rest,
    config: changedConfig === undefined || isObject ? config : changedConfig,
  };
}
