/** The environment, read once: parsed, with its defaults, frozen. Nobody else reads process.env. */
import { z } from 'zod';

const text = z.string().trim().min(1);
const port = z.coerce.number().int().min(0).max(65_535);
const count = z.coerce.number().int().min(0);
const list = z.string().transform((value) => splitList(value));
const url = z.url({ protocol: /^https?$/ });
/** Words people use for yes and no in an environment. */
const onOff = z.stringbool({ truthy: ['on', 'true', '1', 'yes'], falsy: ['off', 'false', '0', 'no'] });

const json = <T extends z.ZodType>(schema: T) =>
  z
    .string()
    .transform((value, context): unknown => {
      try {
        return JSON.parse(value);
      } catch {
        context.addIssue({ code: 'custom', message: 'must be JSON' });
        return z.NEVER;
      }
    })
    .pipe(schema);

const callLimit = z.int().min(1_000).max(600_000).default(60_000);
/** Reached by streamable HTTP, or a program that is started and spoken to by its standard streams. */
const McpServerSchema = z.union(
  [
    z.strictObject({ url, headers: z.record(z.string(), z.string()).default({}), timeoutMs: callLimit }),
    z.strictObject({
      command: text,
      args: z.array(z.string()).default([]),
      env: z.record(z.string(), z.string()).default({}),
      cwd: text.optional(),
      timeoutMs: callLimit,
    }),
  ],
  'must be { url, headers?, timeoutMs? } or { command, args?, env?, cwd?, timeoutMs? }',
);
/** Names of built-in providers, which a server's tools would hide. */
const TAKEN_PROVIDERS = new Set(['files', 'http', 'shell', 'skills', 'values', 'workflows']);
const McpServerName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,63}$/, 'names of servers are lower case letters, digits, _ and -')
  .refine((name) => !TAKEN_PROVIDERS.has(name), 'this name is a built-in provider’s');
/** As in tools/policy.ts, which this file may not know. */
const PolicyKey = z
  .string()
  .regex(/^(?:low|medium|high|[a-z][a-z0-9_-]{0,63}:(?:\*|[A-Za-z0-9_.-]{1,128}))$/, 'keys are low, medium, high, provider:* or a tool id');

const EnvironmentSchema = z.object({
  PORT: port.optional(),
  HOST: text.default('127.0.0.1'),
  SIGNALBOX_DATA_DIR: text.default('.signalbox'),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  TEMPORAL_ADDRESS: text.regex(/^[^\s/]+:\d+$/, 'must be host:port').optional(),
  TEMPORAL_NAMESPACE: text.default('default'),
  TEMPORAL_CLI_PATH: text.optional(),
  /** For links; `all` sets it for its own server. */
  SIGNALBOX_TEMPORAL_UI_URL: url.optional(),
  SIGNALBOX_BOOTSTRAP_KEY: z
    .string()
    .regex(/^sbx_[A-Za-z0-9_]{20,200}$/, 'must be sbx_ and 20-200 of A-Z a-z 0-9 _')
    .optional(),
  SIGNALBOX_ENCRYPTION_KEY: z
    .string()
    .refine((value) => isKey(value), 'must be 32 bytes in base64 (openssl rand -base64 32)')
    .optional(),
  SIGNALBOX_ROLE: z.enum(['all', 'gateway', 'worker', 'worker:agent', 'worker:shell']).default('all'),
  ANTHROPIC_API_KEY: text.optional(),
  ANTHROPIC_BASE_URL: url.optional(),
  SIGNALBOX_MODELS: list.default([]),
  SIGNALBOX_MAX_ACTIVE_PER_USER: count.default(10),
  SIGNALBOX_MAX_ACTIVE: count.default(100),
  SIGNALBOX_SHELL: z.enum(['off', 'bubblewrap', 'plain']).default('off'),
  SIGNALBOX_SHELL_CONCURRENCY: z.coerce.number().int().min(1).max(1_000).default(4),
  SIGNALBOX_SIGNAL_DECISIONS: onOff.optional(),
  SIGNALBOX_HTTP_ALLOW: list.default([]),
  SLACK_BOT_TOKEN: text.optional(),
  SLACK_SIGNING_SECRET: text.optional(),
  SLACK_API_URL: url.optional(),
  GITHUB_WEBHOOK_SECRET: text.optional(),
  SIGNALBOX_PAYLOAD_ENCRYPTION: onOff.default(false),
  SIGNALBOX_MCP_SERVERS: json(z.record(McpServerName, McpServerSchema)).default({}),
  SIGNALBOX_RATE_LIMIT: count.default(12_000),
  SIGNALBOX_WEBHOOK_RATE_LIMIT: count.default(6_000),
  SIGNALBOX_TOOL_POLICY: json(z.record(PolicyKey, z.enum(['allow', 'approve', 'deny']))).default({}),
  SIGNALBOX_SKILLS_DIR: text.optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  LOG_FORMAT: z.enum(['pretty', 'json']).optional(),
});

export type Config = ReturnType<typeof toConfig>;
export type Role = Config['role'];

/** What the gateway and the workers need beyond Config: servers and a key, which `all` starts and makes, and passes on to them. */
export type ServiceConfig = Config & {
  readonly databaseUrl: string;
  readonly encryptionKey: Buffer;
  readonly temporal: { readonly address: string };
};

/** The environment does not hold what the service needs; the message has a line for each fault. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(readonly faults: readonly string[]) {
    super(
      `the environment has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    );
  }
}

/**
 * Parses the environment. An empty variable counts as absent, as in compose files. Pure but for reading `env`.
 * @throws ConfigError with every fault
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = EnvironmentSchema.safeParse(given);
  if (!parsed.success) throw new ConfigError(parsed.error.issues.map((issue) => `${issue.path.map(String).join('.')}: ${issue.message}`));
  const config = toConfig(parsed.data);
  const faults = faultsBetween(config);
  if (faults.length > 0) throw new ConfigError(faults);
  return deepFreeze(config);
}

/** The same for a gateway or worker process, which starts no servers. @throws ConfigError also when an address or the key is missing */
export function loadServiceConfig(env: NodeJS.ProcessEnv = process.env): ServiceConfig {
  const config = loadConfig(env);
  const { databaseUrl, encryptionKey, temporal } = config;
  const { address } = temporal;
  const faults = [
    ...(databaseUrl === undefined ? ['DATABASE_URL: required by this role'] : []),
    ...(address === undefined ? ['TEMPORAL_ADDRESS: required by this role'] : []),
    ...(encryptionKey === undefined ? ['SIGNALBOX_ENCRYPTION_KEY: required by this role'] : []),
  ];
  if (databaseUrl === undefined || address === undefined || encryptionKey === undefined) throw new ConfigError(faults);
  return deepFreeze({ ...config, databaseUrl, encryptionKey, temporal: { ...temporal, address } });
}

/** The environment for a child process: ours, with these values in place of the same names; undefined removes one. */
export function childEnvironment(values: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries({ ...process.env, ...values }).filter(([, value]) => value !== undefined));
}

function toConfig(env: z.infer<typeof EnvironmentSchema>) {
  return {
    role: env.SIGNALBOX_ROLE,
    /** Port 0 is any free one. */
    port: env.PORT ?? 8080,
    isPortGiven: env.PORT !== undefined,
    host: env.HOST,
    dataDir: env.SIGNALBOX_DATA_DIR,
    databaseUrl: env.DATABASE_URL,
    temporal: {
      address: env.TEMPORAL_ADDRESS,
      namespace: env.TEMPORAL_NAMESPACE,
      uiUrl: env.SIGNALBOX_TEMPORAL_UI_URL,
      cliPath: env.TEMPORAL_CLI_PATH,
    },
    bootstrapKey: env.SIGNALBOX_BOOTSTRAP_KEY,
    /** 32 bytes. */
    encryptionKey: env.SIGNALBOX_ENCRYPTION_KEY === undefined ? undefined : Buffer.from(env.SIGNALBOX_ENCRYPTION_KEY, 'base64'),
    encryptPayloads: env.SIGNALBOX_PAYLOAD_ENCRYPTION,
    /** Without a key and a base URL the built-in demo model answers. `names` in order of preference; empty: the provider's own default. */
    model: {
      apiKey: env.ANTHROPIC_API_KEY,
      baseUrl: env.ANTHROPIC_BASE_URL,
      names: env.SIGNALBOX_MODELS,
      isDemo: env.ANTHROPIC_API_KEY === undefined && env.ANTHROPIC_BASE_URL === undefined,
    },
    /** Running executions at once; 0 is none. */
    limits: { activePerUser: env.SIGNALBOX_MAX_ACTIVE_PER_USER, active: env.SIGNALBOX_MAX_ACTIVE },
    /** Requests a minute, for one key, for one trigger; 0 is no limit. */
    rateLimits: { perKey: env.SIGNALBOX_RATE_LIMIT, perTrigger: env.SIGNALBOX_WEBHOOK_RATE_LIMIT },
    shell: env.SIGNALBOX_SHELL,
    /** Commands and file tools at once in one worker. */
    shellConcurrency: env.SIGNALBOX_SHELL_CONCURRENCY,
    /** Whether a raw `approve` signal may decide. A plain shell can send one, so there it may not unless said. */
    signalDecisions: env.SIGNALBOX_SIGNAL_DECISIONS ?? env.SIGNALBOX_SHELL !== 'plain',
    httpAllow: env.SIGNALBOX_HTTP_ALLOW,
    slack: { botToken: env.SLACK_BOT_TOKEN, signingSecret: env.SLACK_SIGNING_SECRET, apiUrl: env.SLACK_API_URL },
    githubWebhookSecret: env.GITHUB_WEBHOOK_SECRET,
    mcpServers: env.SIGNALBOX_MCP_SERVERS,
    toolPolicy: env.SIGNALBOX_TOOL_POLICY,
    skillsDir: env.SIGNALBOX_SKILLS_DIR,
    log: { level: env.LOG_LEVEL, format: env.LOG_FORMAT ?? (process.stdout.isTTY ? 'pretty' : 'json') },
  } as const;
}

/** A key of our own making would not survive with a database elsewhere: what it encrypted could not be read again. */
function faultsBetween(config: Config): string[] {
  const needsKey = config.databaseUrl !== undefined && config.encryptionKey === undefined;
  return needsKey ? ['SIGNALBOX_ENCRYPTION_KEY: required with DATABASE_URL (openssl rand -base64 32)'] : [];
}

const isKey = (value: string): boolean => /^[A-Za-z0-9+/_-]+=*$/.test(value) && Buffer.from(value, 'base64').length === 32;

const splitList = (value: string): string[] =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
