import pino, { type LogFn, type Logger, type LoggerOptions } from 'pino';
import pretty from 'pino-pretty';

export type { Logger };

export interface LogConfig {
  readonly level: string;
  readonly format: 'pretty' | 'json';
}

/** Fields that may hold a secret, wherever a careless log line puts them. */
const REDACTED = ['authorization', 'cookie', 'apiKey', 'password', 'secret', 'token', 'databaseUrl'].flatMap((name) => [name, `*.${name}`]);

/** Which delivery started an execution (operations/delivery-ids.ts). */
export type DeliveryOf = (executionId: string) => string | null | Promise<string | null>;

/**
 * The process's logger: JSON lines, or coloured text, on stdout. `service` names the process. Give it to those who need it;
 * in workflows and activities use the SDK's `log`. Never log prompts, replies or secrets. With `deliveryOf` every line about an execution says
 * which delivery started it.
 */
export function createLogger(config: LogConfig, service: string, deliveryOf?: DeliveryOf): Logger {
  const options: LoggerOptions = {
    ...(deliveryOf === undefined ? {} : { hooks: { logMethod: withDelivery(deliveryOf) } }),
    level: config.level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: REDACTED, censor: '[redacted]' },
    serializers: { error: pino.stdSerializers.err },
  };
  if (config.format === 'json') return pino(options);
  // In this process, not in a worker thread: lines written just before an exit must appear.
  return pino(
    options,
    pretty({
      ignore: 'pid,hostname,service',
      messageFormat: '[{service}] {msg}',
      translateTime: 'SYS:HH:MM:ss.l',
      sync: true,
      colorize: process.stdout.isTTY,
    }),
  );
}

/** The line waits for the look that finds its delivery, which is one for an execution and process. */
function withDelivery(deliveryOf: DeliveryOf) {
  return function (this: Logger, args: Parameters<LogFn>, method: LogFn): void {
    const [fields, ...rest] = args as [unknown, ...unknown[]];
    const executionId = executionIdOf(fields);
    const write = (deliveryId: string | null): void =>
      method.apply(this, [deliveryId === null ? fields : { ...(fields as object), deliveryId }, ...rest] as Parameters<LogFn>);
    const found = executionId === undefined ? null : deliveryOf(executionId);
    if (found instanceof Promise) void found.then(write);
    else write(found);
  };
}

/** In Temporal's own lines the execution is the workflow. Those that tell of a delivery have its id. */
function executionIdOf(fields: unknown): string | undefined {
  if (typeof fields !== 'object' || fields === null || 'deliveryId' in fields) return undefined;
  const { executionId, workflowId } = fields as { readonly executionId?: unknown; readonly workflowId?: unknown };
  return [executionId, workflowId].find((id): id is string => typeof id === 'string' && id.startsWith('exe_'));
}
