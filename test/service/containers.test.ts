import { Service } from '../support/service.js';
import { call, loop, parallel, set, wait } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(60_000);

describe('containers on the real service', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
    stub.on('/404', { status: 404, body: { no: true } });
    stub.on('/500', { status: 500 });
    for (const path of ['/delay', '/l14', '/l16'])
      stub.on(path, ({ query }) => ({ delayMs: Number(query['ms']), body: { ms: Number(query['ms']) } }));
  });
  beforeEach(() => stub.clear());
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  const slow = (id: string, ms: string, fields = {}) => call(id, stub, `/delay?ms=${ms}`, fields);

  describe('loop', () => {
    it('L14 keeps at most `concurrency` passes open, isolates them and gives results in input order', async () => {
      const { output } = await service.runToEnd({
        name: 'L14',
        variables: { mark: { type: 'string', default: 'start' } },
        steps: [
          loop('l', { over: '[300, 100, 200, 100, 50]', concurrency: 2, collect: '[variables.seen, outputs.c.body.ms]' }, [
            set('s', { seen: '{{ variables.mark }}' }),
            call('c', stub, '/l14?ms={{ loop.item }}'),
            set('m', { mark: 'pass {{ loop.index }}' }),
          ]),
        ],
        output: { results: '{{ outputs.l.results }}', mark: '{{ variables.mark }}' },
      });
      expect(output).toEqual({ results: [300, 100, 200, 100, 50].map((ms) => ['start', ms]), mark: 'pass 4' });
      expect(stub.maxOpen('/l14')).toBe(2);
      expect(stub.calls('/l14')).toHaveLength(5);
    });

    const thirdFails = (onItemError: string) => [
      { ...set('k0', { n: 0 }), outputVariable: 'k' },
      loop('l', { over: '[1, 2, 3, 4, 5]', onItemError, collect: 'variables.before' }, [
        set('b', { before: '{{ outputs.k.n }}' }),
        { ...set('k1', { n: '{{ loop.item }}' }), outputVariable: 'k' },
        { ...call('c', stub, '{{ loop.item == 3 ? "/404" : "/ok" }}') },
      ]),
    ];

    it('L15 fails at the failed pass, runs no later one, and rolls back what that pass wrote', async () => {
      const ended = await service.runToEnd([
        {
          id: 't',
          type: 'try',
          steps: thirdFails('fail'),
          catch: [{ codes: ['*'], as: 'e', steps: [set('seen', { k: '{{ outputs.k.n }}', path: '{{ e.iterationPath }}' })] }],
        },
      ]);
      expect(ended.status).toBe('completed');
      expect((await service.step(ended.id, 'seen', 't:catch0')).output).toEqual({ k: 2, path: 't:try/l:i2' });
      const rows = await service.steps(ended.id);
      expect(rows.filter(({ iterationPath }) => /l:i[34]/.test(iterationPath))).toEqual([]);
    });

    it('L15 goes on with `onItemError` continue; the failed pass is an error among the results', async () => {
      const ended = await service.runToEnd({ name: 'L15 continue', steps: thirdFails('continue') });
      const { output } = await service.step(ended.id, 'l');
      expect(output).toEqual({
        iterations: 5,
        failed: 1,
        results: [0, 1, { error: { code: 'http_404', message: expect.any(String) } }, 2, 4],
      });
    });
  });

  describe('parallel', () => {
    it('L16 has all branches open at once and merges in branch order whatever ends first', async () => {
      const branch = (id: string, ms: number) => [call(`c_${id}`, stub, `/l16?ms=${ms}`), set(`s_${id}`, { last: id })];
      const ended = await service.runToEnd({
        name: 'L16',
        variables: { last: { type: 'string', default: '' } },
        steps: [parallel('p', { a: branch('a', 500), b: branch('b', 300), c: branch('c', 400) })],
        output: '{{ variables.last }}',
      });
      expect(stub.maxOpen('/l16')).toBe(3);
      expect(ended.output).toBe('c');
      expect((await service.step(ended.id, 'p')).output).toEqual({ branches: { a: 'completed', b: 'completed', c: 'completed' } });
    });

    it('L17 lets each branch see the state as it was, and takes both variable and output of the later branch', async () => {
      const ended = await service.runToEnd({
        name: 'L17',
        variables: { v: { type: 'number', default: 0 } },
        steps: [
          parallel('p', {
            a: [{ ...set('a', { v: 1 }), outputVariable: 'k' }],
            b: [slow('pause', '100'), set('see', { saw: '{{ variables.v }}' }), { ...set('b', { v: 2 }), outputVariable: 'k' }],
          }),
        ],
        output: '{{ [variables.v, outputs.k.v, variables.saw] }}',
      });
      expect(ended.output).toEqual([2, 2, 0]);
    });

    it('L18 cancels the other branches when one fails', async () => {
      const ended = await service.runToEnd([
        parallel('p', { a: [call('bad', stub, '/404')], b: [wait('w', '5s'), call('late', stub, '/late')] }),
      ]);
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'http_404', stepId: 'bad', iterationPath: 'p:b0' } });
      expect((await service.step(ended.id, 'w', 'p:b1')).status).toBe('cancelled');
      expect(stub.calls('/late')).toHaveLength(0);
    });

    it('L18 lets the others end with `onBranchError` continue', async () => {
      const ended = await service.runToEnd([
        parallel(
          'p',
          { a: [call('bad', stub, '/404')], b: [wait('w', '500ms'), call('late', stub, '/late')] },
          { onBranchError: 'continue' },
        ),
      ]);
      expect(ended.status).toBe('completed');
      expect((await service.step(ended.id, 'p')).output).toEqual({ branches: { a: 'failed', b: 'completed' } });
    });

    it('L19 completes `any` with the first success and never lets the losers act', async () => {
      const ended = await service.runToEnd([
        parallel(
          'p',
          {
            a: [slow('first', '300')],
            b: [wait('w1', '2s'), call('l1', stub, '/loser')],
            c: [wait('w2', '2s'), call('l2', stub, '/loser')],
          },
          { wait: 'any' },
        ),
      ]);
      expect(ended.status).toBe('completed');
      expect((await service.step(ended.id, 'p')).output).toEqual({ branches: { a: 'completed', b: 'cancelled', c: 'cancelled' } });
      expect(Date.parse(ended.completedAt ?? '') - Date.parse(ended.createdAt)).toBeLessThan(1_900);
      expect(stub.calls('/loser')).toHaveLength(0);
    });

    it.each([
      [
        'takes the first success of `any` when a failure ends earlier',
        'any',
        { a: '/404', b: '/delay?ms=300', c: '/delay?ms=8000' },
        { a: 'failed', b: 'completed', c: 'cancelled' },
      ],
      [
        'completes at the second success of 2',
        2,
        { a: '/delay?ms=100', b: '/delay?ms=8000', c: '/delay?ms=300' },
        { a: 'completed', b: 'cancelled', c: 'completed' },
      ],
    ])('L20 %s', async (_title, waitFor, paths, branches) => {
      const steps = Object.fromEntries(Object.entries(paths).map(([id, path]) => [id, [call(`c_${id}`, stub, path)]]));
      const ended = await service.runToEnd([parallel('p', steps, { wait: waitFor })]);
      expect(ended.status).toBe('completed');
      expect((await service.step(ended.id, 'p')).output).toEqual({ branches });
    });

    it('L20 fails when all fail, also where `onBranchError` says continue', async () => {
      const ended = await service.runToEnd([
        parallel('p', { a: [call('x', stub, '/404')], b: [call('y', stub, '/500')] }, { wait: 'any', onBranchError: 'continue' }),
      ]);
      expect(ended.status).toBe('failed');
      expect(['http_404', 'http_500']).toContain(ended.error?.code);
    });

    it('L21 makes one branch of each step, named by it', async () => {
      const ended = await service.runToEnd([
        { id: 'p', type: 'parallel', steps: [set('one', { a: 1 }), set('two', { b: 2 }), set('three', { c: 3 })] },
      ]);
      expect((await service.step(ended.id, 'p')).output).toEqual({ branches: { one: 'completed', two: 'completed', three: 'completed' } });
      const rows = await service.steps(ended.id);
      expect(rows.map(({ stepId, iterationPath }) => [stepId, iterationPath])).toEqual([
        ['p', ''],
        ['one', 'p:b0'],
        ['two', 'p:b1'],
        ['three', 'p:b2'],
      ]);
    });
  });

  describe('try', () => {
    it('L22 hands the error to the handler and completes with its last output', async () => {
      const ended = await service.runToEnd({
        name: 'L22',
        steps: [
          {
            id: 't',
            type: 'try',
            steps: [call('bad', stub, '/404')],
            catch: [{ codes: ['http_404'], as: 'e', steps: [set('h', { error: '{{ e }}' })] }],
          },
        ],
        output: '{{ variables.error }}',
      });
      expect(ended.status).toBe('completed');
      expect(ended.output).toMatchObject({ code: 'http_404', message: expect.any(String), stepId: 'bad', iterationPath: 't:try' });
      expect(await service.step(ended.id, 't')).toMatchObject({ status: 'completed', output: { error: { code: 'http_404' } } });
      expect((await service.step(ended.id, 'bad', 't:try')).error?.details).toMatchObject({ status: 404, body: { no: true } });
    });

    it('L25 runs the handler within its own pass only', async () => {
      const ended = await service.runToEnd([
        loop('l', { over: '["/ok", "/404", "/ok"]' }, [
          {
            id: 't',
            type: 'try',
            steps: [call('c', stub, '{{ loop.item }}')],
            catch: [{ codes: ['*'], steps: [set('fallback', { used: '{{ loop.index }}' })] }],
          },
        ]),
      ]);
      expect((await service.step(ended.id, 'l')).output).toMatchObject({ iterations: 3, failed: 0 });
      expect(
        (await service.steps(ended.id)).filter(({ stepId }) => stepId === 'fallback').map(({ iterationPath }) => iterationPath),
      ).toEqual(['l:i1/t:catch0']);
    });

    describe('L26 finally runs once', () => {
      const body = (steps: readonly object[]) => [{ id: 't', type: 'try', steps, finally: [call('mark', stub, '/marker')] }] as never;

      it.each([
        ['a success', () => [call('ok', stub, '/ok')], { status: 'completed' }],
        ['a failure', () => [call('bad', stub, '/404')], { status: 'failed', error: { code: 'http_404' } }],
        ['a stop that completes', () => [{ id: 's', type: 'stop', outcome: 'completed', output: 7 }], { status: 'completed', output: 7 }],
        [
          'a stop that fails',
          () => [{ id: 's', type: 'stop', outcome: 'failed', message: 'no' }],
          { status: 'failed', error: { code: 'stopped', message: 'no' } },
        ],
      ])('after %s', async (_title, steps, expected) => {
        const ended = await service.runToEnd(body(steps()));
        expect(ended).toMatchObject(expected);
        expect(stub.calls('/marker')).toHaveLength(1);
        expect((await service.step(ended.id, 'mark', 't:finally')).status).toBe('completed');
      });

      it('after a cancel', async () => {
        const { id } = await service.run(body([wait('w', '60s')]));
        await service.untilKind(id, 'execution.waiting');
        await service.api.post(`/api/executions/${id}/cancel`);
        expect((await service.untilEnded(id)).status).toBe('cancelled');
        expect(stub.calls('/marker')).toHaveLength(1);
      });
    });
  });
});
