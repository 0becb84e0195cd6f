import { z } from 'zod';
import { defineTool, type Tool } from '../tool.js';
import { workspaceIdOf } from '../workspace/workspace-call.js';
import { CHECK_OUT_LIMIT_MS } from '../workspace/check-out.js';
import { runInWorkspace, type ShellHost } from './shell-host.js';

const MAX_TIMEOUT_MS = 600_000;

const Parameters = z.strictObject({
  command: z
    .string()
    .min(1)
    .max(64_000)
    .refine((command) => !command.includes('\0'), 'A command holds no NUL character')
    .describe('Run by bash'),
  cwd: z.string().max(4_000).optional().describe('Folder of the workspace'),
  timeoutMs: z.int().min(1_000).max(MAX_TIMEOUT_MS).default(120_000),
});

/** `shell:bash`. Another exit code than 0 is a result here: a model reads it and goes on. */
export function createBashTool(host: ShellHost | undefined): Tool {
  return defineTool<z.infer<typeof Parameters>>({
    id: 'shell:bash',
    description:
      'Runs a command in the run’s workspace; gives { exitCode, stdout, stderr, durationMs }. Nothing that it leaves in the background stays',
    risk: 'low',
    parameters: Parameters,
    repeats: 'no',
    light: false,
    queue: 'shell',
    limitMs: ({ timeoutMs }) => timeoutMs + CHECK_OUT_LIMIT_MS,
    async run({ command, cwd, timeoutMs }, call) {
      const { workspaceId, place } = workspaceIdOf('shell:bash', host, call);
      const { idempotencyKey, signal, redact } = call;
      return {
        ...(await runInWorkspace(place, { workspaceId, command, cwd: cwd ?? null, env: {}, idempotencyKey, timeoutMs, signal, redact })),
      };
    },
  });
}
