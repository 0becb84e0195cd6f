import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fresh, TriggersStage, type TriggerShape } from '../triggers/triggers-stage.js';
import { blocksOf, readDocument } from './readme-blocks.js';

const PAGE = readDocument('docs/triggers.md');
const SECRET = 'a long random text';
const run = promisify(execFile);

let stage: TriggersStage;
beforeAll(async () => {
  stage = await TriggersStage.start();
});
afterAll(() => stage.close());

/** As a reader would run it, but against this deployment. */
const here = (block: string, path: string): string =>
  block.replaceAll('localhost:8080', `127.0.0.1:${stage.api.port}`).replaceAll('/webhooks/tickets', `/webhooks/${path}`);

const has = (command: string): Promise<boolean> =>
  run(command, ['--version']).then(
    () => true,
    () => false,
  );

describe('docs/triggers.md', () => {
  it('makes a webhook by its first example', async () => {
    if (!(await has('curl'))) return;
    const { body } = await stage.send<{ workflow: { id: string } }>('POST', '/api/workflows/sync', {
      slug: 'ticket',
      name: 'Ticket',
      data: { name: 'Ticket', variables: { id: { type: 'string' }, subject: { type: 'string' } }, steps: [{ type: 'set', values: {} }] },
    });
    const { stdout } = await run('bash', ['-c', here(blocksOf(PAGE, 'bash')[0] ?? '', 'tickets')], {
      env: { ...process.env, KEY: stage.key },
    });
    const { trigger } = JSON.parse(stdout) as { trigger: TriggerShape };
    expect(trigger).toMatchObject({ workflowId: body.workflow.id, hasSecret: true, config: { path: 'tickets', method: 'POST' } });
  });

  it.each([
    ['bash', ['curl', 'openssl'], 1, (code: string) => ({ command: 'bash', args: ['-c', code] })],
    ['js', ['node'], 0, (code: string) => ({ command: process.execPath, args: ['--input-type=module', '-e', code] })],
    ['python', ['python3'], 0, (code: string) => ({ command: 'python3', args: ['-c', code] })],
  ] as const)('signs a call in %s so that it is taken, with the inputs that it maps', async (language, needed, index, commandOf) => {
    if (!(await Promise.all(needed.map(has))).every(Boolean)) return;
    const workflowId = await stage.workflow({ variables: { id: { type: 'string' }, subject: { type: 'string' } } });
    const hook = await stage.webhook(
      { secret: SECRET },
      { workflowId, name: fresh('Tickets'), variableMapping: { id: '$.ticket.id', subject: '$.ticket.subject' } },
    );
    const { command, args } = commandOf(here(blocksOf(PAGE, language)[index] ?? '', hook.path));
    await run(command, args, { env: { ...process.env, SECRET } });
    const [delivery] = await stage.deliveries(hook.id);
    expect(delivery).toMatchObject({ outcome: 'matched', deliveryId: 'T-1-created' });
    expect((await stage.execution(delivery?.executionId ?? '')).variables).toMatchObject({ id: 'T-1', subject: 'Printer' });
  });
});
