import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { startModelServer, type ModelRequest, type ModelServer } from '../support/model-server.js';
import { Service } from '../support/service.js';
import type { Approval, Execution, StepJson } from '../support/service-shapes.js';
import { hasGitServer, startGitServer, type GitServer } from '../tools/support/git-server.js';
import { McpHttpServer } from '../tools/support/mcp-http-server.js';

jest.setTimeout(120_000);

const toolStep = (id: string, tool: string, args: object = {}, fields: object = {}): StepJson => ({
  id,
  type: 'tool',
  tool,
  arguments: args,
  ...fields,
});

const withGit = hasGitServer() ? it : it.skip;

describe('tools on the real service', () => {
  let git: GitServer | undefined;
  const repoAt = (below: string): string => `${git?.url}/${below}`;
  let mcp: McpHttpServer;
  let model: ModelServer;
  let service: Service;
  beforeAll(async () => {
    [mcp, model] = await Promise.all([McpHttpServer.start(), startModelServer()]);
    if (hasGitServer()) git = await startGitServer();
    service = await Service.start({
      env: {
        SIGNALBOX_SHELL: 'plain',
        SIGNALBOX_MCP_SERVERS: JSON.stringify({ notes: { url: mcp.url, timeoutMs: 20_000 } }),
        ANTHROPIC_API_KEY: 'test',
        ANTHROPIC_BASE_URL: model.url,
        SIGNALBOX_MODELS: 'model-a',
      },
    });
  });
  afterAll(async () => {
    await service?.close();
    await Promise.all([git?.close(), mcp?.stop(), model?.close()]);
  });
  /** A run that works on a repo. */
  const runWith = async (repo: object, steps: readonly StepJson[]): Promise<Execution> =>
    await service.untilEnded((await service.run(steps, {}, { body: { repo } })).id);
  beforeEach(() => {
    model.clear();
    if (git === undefined) return;
    git.password = undefined;
    git.requests.splice(0);
  });
  const calls = (...made: readonly (readonly [toolId: string, params: object])[]) => ({
    toolCalls: made.map(([toolId, params], index) => ({
      id: `toolu_${index}`,
      name: 'call_tool',
      input: { toolId, params, summary: 'for the test' },
    })),
  });
  /** What the model was told last: the results of its calls. */
  const toldIn = (request: ModelRequest | undefined): string[] =>
    ((request?.body.messages.at(-1)?.content ?? []) as { content?: string }[]).map(({ content }) => content ?? '');

  withGit('shares one workspace between commands and file tools, with the checkout of the run’s repo in it', async () => {
    const run = await runWith({ url: repoAt('smart/app.git'), branch: 'topic' }, [
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
    expect(git?.requests.filter(({ path }) => path.endsWith('/info/refs'))).toHaveLength(1);
  });

  it('gives each run a workspace of its own', async () => {
    const first = await service.runToEnd([toolStep('w', 'files:write', { path: 'a', content: 'x' }), toolStep('l', 'files:list')]);
    const second = await service.runToEnd([toolStep('l', 'files:list')]);
    expect([first.output, second.output]).toMatchObject([{ l: { entries: [{ path: 'a' }] } }, { l: { entries: [] } }]);
  });

  withGit('clones a private repo with the owner’s secret, which is found in no row, log or workspace', async () => {
    if (git !== undefined) git.password = 'ghp_v3ry-s3cret';
    await service.api.put('/api/secrets/GITHUB_TOKEN', { value: 'ghp_v3ry-s3cret' });
    const run = await runWith({ url: repoAt('smart/app.git') }, [
      { id: 'b', type: 'bash', command: 'cat README.md; env; cat .git/config' },
    ]);
    expect(run.status).toBe('completed');
    const basic = Buffer.from('x-access-token:ghp_v3ry-s3cret').toString('base64');
    const told = JSON.stringify([run, await service.steps(run.id), await service.events(run.id), service.worker.lastLines(10_000)]);
    for (const secret of ['ghp_v3ry-s3cret', basic]) expect(told).not.toContain(secret);
    await service.api.delete('/api/secrets/GITHUB_TOKEN');
  });

  withGit('fails the step that first needs a repo which cannot be cloned, and leaves steps before it alone', async () => {
    const run = await runWith({ url: repoAt('smart/none.git') }, [
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

  withGit('lets an agent work in the checkout that commands of the run see', async () => {
    model.script([
      { toolCalls: [{ name: 'list_tools', input: { provider: 'files' } }] },
      calls(['files:grep', { pattern: 'sec' }], ['files:read', { path: '../../../etc/passwd' }]),
      calls(['files:edit', { path: 'README.md', oldText: 'second', newText: 'edited by an agent' }]),
      calls(['shell:bash', { command: 'cat README.md; exit 4' }]),
      { text: 'done' },
    ]);
    const run = await runWith({ url: repoAt('dumb/app.git'), branch: 'topic' }, [
      { id: 'ask', type: 'agent_prompt', prompt: 'Edit it', tools: ['files:*', 'shell:bash'] },
      { id: 'see', type: 'bash', command: 'cat README.md' },
    ]);
    expect(run).toMatchObject({ status: 'completed', output: { ask: 'done', see: { stdout: 'edited by an agent' } } });
    const [listed, found, , ran] = model.requests.slice(1).map(toldIn);
    expect(listed?.[0]).toContain('"id":"files:edit"');
    expect(listed?.[0]).not.toContain('http:request');
    expect(found?.[0]).toContain('{"path":"README.md","line":1,"text":"second"}');
    expect(found?.[1]).toContain('lies outside of the workspace');
    expect(ran?.[0]).toContain('"exitCode":4,"stdout":"edited by an agent"');
  });

  it('A9: holds an MCP tool for a person, by the risk that it has', async () => {
    mcp.calls.splice(0);
    model.script([calls(['notes:structured', {}], ['notes:echo', { text: 'free' }]), { text: 'done' }]);
    const { id } = await service.run([{ id: 'ask', type: 'agent_prompt', prompt: 'Count' }]);
    const gate = await service.until('the gate', async () =>
      (
        await service.api.get<{ items: (Approval & { toolCall: { toolId: string; summary: string } })[] }>(
          `/api/approvals?executionId=${id}`,
        )
      ).body.items.find(({ status }) => status === 'pending'),
    );
    expect(gate.toolCall).toMatchObject({ toolId: 'notes:structured', summary: 'for the test' });
    expect(mcp.calls).not.toContain('structured');
    expect((await service.api.post(`/api/approvals/${gate.id}/approve`, {})).status).toBe(200);
    expect(await service.untilEnded(id)).toMatchObject({ status: 'completed', output: { ask: 'done' } });
    expect(toldIn(model.requests[1])).toEqual([expect.stringContaining('{"n":1}'), expect.stringContaining('\nfree\n')]);
    expect(mcp.calls.filter((name) => name === 'structured')).toHaveLength(1);
  });

  it('cuts a result of 3 MB for the model, which reads on by its reference; 50 MB is a fault', async () => {
    await service.api.put('/api/policies', { policies: { 'notes:*': 'allow' } });
    model.script((request, nth) => {
      if (nth === 0) return calls(['notes:big', {}], ['notes:huge-line', {}]);
      const ref = /"ref": "(val_[^"]+)"/.exec(toldIn(request)[0] ?? '')?.[1];
      return nth === 1 ? calls(['values:read', { ref, offset: 3 * 1024 * 1024 - 5 }]) : { text: 'done' };
    });
    const run = await service.runToEnd([{ id: 'ask', type: 'agent_prompt', prompt: 'Read it' }]);
    expect(run).toMatchObject({ status: 'completed', output: { ask: 'done' } });
    const [first, second] = model.requests.slice(1).map(toldIn);
    expect(first?.[0]?.length).toBeLessThan(10_000);
    expect(first?.[1]).toContain('"success":false');
    expect(second?.[0]).toContain('"text":"xxxxx","nextOffset":null');
    await service.api.put('/api/policies', { policies: {} });
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

  it('D21: a command or an MCP call that was cut off is not made again', async () => {
    mcp.calls.splice(0);
    const { id } = await service.run([
      {
        id: 'both',
        type: 'parallel',
        branches: [
          { id: 'a', steps: [toolStep('command', 'shell:bash', { command: 'echo once >> log; sleep 60' }, { onError: 'continue' })] },
          { id: 'b', steps: [toolStep('other', 'notes:hang', {}, { onError: 'continue' })] },
        ],
      },
      { id: 'log', type: 'bash', command: 'cat log' },
    ]);
    const log = join(service.worker.plan.env['SIGNALBOX_DATA_DIR'] ?? '', 'workspaces', id, 'log');
    await service.until('both to be under way', async () => (existsSync(log) && mcp.calls.includes('hang') ? true : undefined));
    await service.worker.kill();
    await service.startWorker();
    expect(await service.untilEnded(id)).toMatchObject({ status: 'completed', output: { log: { stdout: 'once\n' } } });
    for (const step of await service.steps(id).then((steps) => steps.filter(({ type }) => type === 'tool')))
      expect(step).toMatchObject({ status: 'failed', error: { code: 'outcome_unknown' } });
    expect(mcp.calls.filter((name) => name === 'hang')).toHaveLength(1);
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
