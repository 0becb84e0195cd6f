import { Service } from '../support/service.js';
import { call } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(150_000);

describe('a worker frozen past its heartbeat inside a stretch of light steps', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
  });
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  it('D20 comes back while another has the step: its answer changes nothing, every finished step was called once', async () => {
    let thaw: () => void = () => undefined;
    const thawed = new Promise<void>((resolve) => {
      thaw = resolve;
    });
    // The frozen one's answer waits in its socket; the other's comes when the frozen one has had time to write its own.
    stub.on('/middle', async (_call, nth) => {
      if (nth > 0) await thawed;
      return { body: { nth }, delayMs: nth === 0 ? 300 : 1_500 };
    });
    const { id } = await service.run([
      call('first', stub, '/first'),
      call('middle', stub, '/middle'),
      call('last', stub, '/last?nth={{ outputs.middle.body.nth }}'),
    ]);
    await stub.called('/middle');
    service.worker.freeze();
    await service.secondWorker();
    // What is handed to a poll of the frozen worker is lost until its own timeout: it may take some attempts.
    await stub.called('/middle', 2);
    service.worker.thaw();
    thaw();
    expect((await service.untilEnded(id, 60_000)).status).toBe('completed');
    expect(['/first', '/last'].map((path) => stub.calls(path).length)).toEqual([1, 1]);
    expect(new Set(stub.calls('/middle').map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    expect(stub.calls('/last')[0]?.query['nth']).not.toBe('0');
    expect(await service.step(id, 'middle')).toMatchObject({
      status: 'completed',
      output: { body: { nth: Number(stub.calls('/last')[0]?.query['nth']) } },
    });
    const events = await service.expectGapFreeLog(id);
    expect(events.filter(({ kind }) => kind.startsWith('step.')).map(({ kind, stepId = '' }) => `${kind} ${stepId}`)).toEqual(
      ['first', 'middle', 'last'].flatMap((step) => [`step.started ${step}`, `step.completed ${step}`]),
    );
  });
});
