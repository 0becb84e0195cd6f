import { readdirSync, readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { Service } from '../support/service.js';
import type { StepJson } from '../support/service-shapes.js';
import { call } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(60_000);

describe('bash on the real service', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start({ env: { SIGNALBOX_SHELL: 'plain' } })]);
  });
  beforeEach(() => stub.clear());
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  const bash = (command: string, fields: object = {}): StepJson => ({ id: 'b', type: 'bash', command, ...fields });

  it('L41 fails with the exit code unless that is allowed', async () => {
    const failed = await service.runToEnd([bash('echo out; echo err >&2; exit 3')]);
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'bash_exit_code', details: { exitCode: 3 } } });
    const allowed = await service.runToEnd([bash('echo out; echo err >&2; exit 3', { allowFailure: true })]);
    expect(allowed.status).toBe('completed');
    expect((await service.step(allowed.id, 'b')).output).toMatchObject({
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
      durationMs: expect.any(Number),
    });
  });

  it('L41 cuts a stream at 64,000 characters with a marker', async () => {
    const ended = await service.runToEnd({
      name: 'L41 long',
      steps: [bash("head -c 70000 /dev/zero | tr '\\0' x")],
      output: '{{ [length(outputs.b.stdout), slice(outputs.b.stdout, 63990, 64000), slice(outputs.b.stdout, 64000, 64100)] }}',
    });
    const [length, before, marker] = ended.output as [number, string, string];
    expect(before).toBe('x'.repeat(10));
    expect(length).toBeGreaterThan(64_000);
    expect(length).toBeLessThan(64_200);
    expect(marker).not.toMatch(/^x/);
  });

  it('L41 ends the whole process group at the time limit', async () => {
    const mark = `31.${randomBytes(4).readUInt32BE()}`;
    const ended = await service.runToEnd([bash(`sleep ${mark} & sleep ${mark}`, { timeoutMs: 1_000 })]);
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'bash_timeout' } });
    await service.until('the group to be gone', async () => (commandLines().some((line) => line.includes(mark)) ? undefined : true), 2_000);
  });

  it('S6 passes values as data, never as shell text', async () => {
    const ended = await service.runToEnd(
      { name: 'S6', variables: { v: { type: 'string' } }, steps: [bash('echo got {{ v }}')] },
      { v: '$(echo pwned) `id`; "quoted"' },
    );
    expect((await service.step(ended.id, 'b')).output).toMatchObject({ stdout: 'got $(echo pwned) `id`; "quoted"\n' });
  });

  describe('D21 a worker killed in the middle', () => {
    const killIn = async (steps: readonly StepJson[], path: string) => {
      const { id } = await service.run(steps);
      await stub.called(path);
      await service.worker.kill();
      await service.startWorker();
      return await service.untilEnded(id);
    };
    const curl = (path: string) =>
      `exec 3<>/dev/tcp/127.0.0.1/${stub.port}; printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3 >/dev/null; sleep 3`;
    const inBash = (command: string) => `bash -c '${command.replaceAll("'", "'\\''")}'`;

    it('leaves a bash step with `outcome_unknown`', async () => {
      const ended = await killIn([bash(inBash(curl('/d21a')))], '/d21a');
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'outcome_unknown', stepId: 'b' } });
      expect(stub.calls('/d21a')).toHaveLength(1);
    });

    it('runs a bash step with `onCrash` repeat again', async () => {
      const ended = await killIn([bash(inBash(curl('/d21b')), { onCrash: 'repeat' })], '/d21b');
      expect(ended.status).toBe('completed');
      expect(stub.calls('/d21b')).toHaveLength(2);
    });

    it('leaves a tool that may not repeat with `outcome_unknown`', async () => {
      stub.on('/d21c', { delayMs: 4_000 });
      const ended = await killIn([call('c', stub, '/d21c', { onCrash: 'fail' })], '/d21c');
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'outcome_unknown', stepId: 'c' } });
      expect(stub.calls('/d21c')).toHaveLength(1);
    });
  });
});

describe('bash without a shell', () => {
  let service: Service;
  beforeAll(async () => {
    service = await Service.start();
  });
  afterAll(async () => {
    await service?.close();
  });

  it('S6 is refused with `bash_disabled`', async () => {
    const ended = await service.runToEnd([{ id: 'b', type: 'bash', command: 'true' }]);
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'bash_disabled', stepId: 'b' } });
  });
});

/** Command lines of every process of the machine. */
function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    });
}
