import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Service } from '../support/service.js';
import type { Execution, StepJson } from '../support/service-shapes.js';
import { startGitServer, type GitServer } from '../tools/support/git-server.js';
import { McpHttpServer } from '../tools/support/mcp-http-server.js';

jest.setTimeout(60_000);

const toolStep = (id: string, tool: string, args: object = {}, fields: object = {}): StepJson => ({
  id,
  type: 'tool',
  tool,
  arguments: args,
  ...fields,
});

describe('tools on the real service', () => {
  let git: GitServer;
  let mcp: McpHttpServer;
  let service: Service;
  beforeAll(async () => {
    [git, mcp] = await Promise.all([startGitServer(), McpHttpServer.start()]);
    service = await Service.start({
      env: { SIGNALBOX_SHELL: 'plain', SIGNALBOX_MCP_SERVERS: JSON.stringify({ notes: { url: mcp.url, timeoutMs: 5_000 } }) },
    });
  });
  afterAll(async () => {
    await service?.close();
    await Promise.all([git?.close(), mcp?.stop()]);
  });
  /** A run that works on a repo. */
  const runWith = async (repo: object, steps: readonly StepJson[]): Promise<Execution> =>
    await service.untilEnded((await service.run(steps, {}, { body: { repo } })).id);
  beforeEach(() => {
    git.password = undefined;
    git.requests.splice(0);
  });

  it('shares one workspace between commands and file tools, with the checkout of the run’s repo in it', async () => {
    const run = await runWith({ url: `${git.url}/smart/app.git`, branch: 'topic' }, [
      { id: 'here', type: 'bash', command: 'cat README.md; git log --format=%s | head -1' },
      toolStep('read', 'files:read', { path: 'README.md' }),
      toolStep('write', 'files:write', { path: 'notes/a.txt', content: 'from {{ outputs.read.content }}' }),
      { id: 'there', type: 'bash', command: 'cat notes/a.txt; git status --porcelain' },
      toolStep('find', 'files:grep', { pattern: 'from', path: 'notes' }),
      toolStep('shell', 'shell:bash', { command: 'exit 3' }),
    ]);
    expect(run.status).toBe('completed');
    expect(run.output).toMatchObject({
      here: { stdout: 'secondsecond\n' },
      read: { content: 'second', totalLines: 1 },
      write: { created: true, bytes: 11 },
      there: { stdout: 'from second?? notes/\n' },
      find: { matches: [{ path: 'notes/a.txt', line: 1, text: 'from second' }], complete: true },
      shell: { exitCode: 3 },
    });
    expect(git.requests.filter(({ path }) => path.endsWith('/info/refs'))).toHaveLength(1);
  });

  it('gives each run a workspace of its own', async () => {
    const first = await service.runToEnd([toolStep('w', 'files:write', { path: 'a', content: 'x' }), toolStep('l', 'files:list')]);
    const second = await service.runToEnd([toolStep('l', 'files:list')]);
    expect([first.output, second.output]).toMatchObject([{ l: { entries: [{ path: 'a' }] } }, { l: { entries: [] } }]);
  });

  it('clones a private repo with the owner’s secret, which is found in no row, log or workspace', async () => {
    git.password = 'ghp_v3ry-s3cret';
    await service.api.put('/api/secrets/GITHUB_TOKEN', { value: 'ghp_v3ry-s3cret' });
    const run = await runWith({ url: `${git.url}/smart/app.git` }, [
      { id: 'b', type: 'bash', command: 'cat README.md; env; cat .git/config' },
    ]);
    expect(run.status).toBe('completed');
    const basic = Buffer.from('x-access-token:ghp_v3ry-s3cret').toString('base64');
    const told = JSON.stringify([run, await service.steps(run.id), await service.events(run.id), service.worker.lastLines(10_000)]);
    for (const secret of ['ghp_v3ry-s3cret', basic]) expect(told).not.toContain(secret);
    await service.api.delete('/api/secrets/GITHUB_TOKEN');
  });

  it('fails the step that first needs a repo which cannot be cloned, and leaves steps before it alone', async () => {
    const run = await runWith({ url: `${git.url}/smart/none.git` }, [
      { id: 'before', type: 'set', values: { x: 1 } },
      { id: 'b', type: 'bash', command: 'ls' },
    ]);
    expect(run).toMatchObject({
      status: 'failed',
      error: { code: 'checkout_failed', stepId: 'b', message: expect.stringContaining('could not be cloned') as string },
    });
    expect((await service.step(run.id, 'before')).status).toBe('completed');
    const blocked = await runWith({ url: 'http://169.254.169.254/a.git' }, [toolStep('r', 'files:read', { path: 'a' })]);
    expect(blocked).toMatchObject({ status: 'failed', error: { code: 'http_blocked', stepId: 'r' } });
  });

  it('calls the tools of an MCP server, and tells one that fails or is not there', async () => {
    const run = await service.runToEnd([toolStep('e', 'notes:echo', { text: 'hi' })]);
    expect(run).toMatchObject({ status: 'completed', output: { e: 'hi' } });
    const failed = await service.runToEnd([toolStep('f', 'notes:fail')]);
    expect(failed).toMatchObject({
      status: 'failed',
      error: { code: 'tool_failed', message: expect.stringContaining('it broke') as string },
    });
    const none = await service.api.post<{ problems: { code: string; path: string }[] }>('/api/workflows/validate', {
      data: { name: 'V7', steps: [toolStep('n', 'notes:none'), toolStep('m', 'nots:echo')] },
    });
    expect(none.body.problems.map(({ code, path }) => [code, path])).toEqual([
      ['tool_unknown', '/steps/0/tool'],
      ['tool_unknown', '/steps/1/tool'],
    ]);
  });

  it('reads skills and large values inside a straight stretch', async () => {
    const run = await service.runToEnd({
      name: 'Light',
      steps: [
        toolStep('s', 'skills:read', { name: 'workflows' }),
        toolStep('v', 'values:read', { ref: 'val_none' }, { onError: 'continue' }),
      ],
      output: '{{ contains(outputs.s.text, "Approvals belong to people") }}',
    });
    expect(run).toMatchObject({ status: 'completed', output: true });
    expect((await service.step(run.id, 'v')).error).toMatchObject({ code: 'tool_failed', message: 'There is no value val_none' });
  });

  it('keeps the folders of runs in the data directory, for this account alone', () => {
    const parent = join(service.worker.plan.env['SIGNALBOX_DATA_DIR'] ?? '', 'workspaces');
    const folders = readdirSync(parent);
    expect(folders.length).toBeGreaterThan(2);
    for (const name of folders) {
      expect(name).toMatch(/^exe_/);
      expect(statSync(join(parent, name)).mode & 0o077).toBe(0);
    }
  });
});
