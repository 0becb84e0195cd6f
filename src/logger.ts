import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';

export type { Logger };

export interface LogConfig {
  readonly level: string;
  readonly format: 'pretty' | 'json';
}

/** Fields that may hold a secret, wherever a careless log line puts them. */
const REDACTED = ['authorization', 'cookie', 'apiKey', 'password', 'secret', 'token', 'databaseUrl'].flatMap((name) => [name, `*.${name}`]);

/**
 * The process's logger: JSON lines, or coloured text, on stdout. `service` names the process. Give it to those who need it;
 * in workflows and activities use the SDK's `log`. Never log prompts, replies or secrets.
 */
export function createLogger(config: LogConfig, service: string): Logger {
  const options = {
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
