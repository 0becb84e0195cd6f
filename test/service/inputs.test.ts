import type { Execution, ProblemDocument } from '../support/service-shapes.js';
import { Service } from '../support/service.js';
import { call, gate, set, wait } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(60_000);

describe('what comes in', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
  });
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  describe('V8 start inputs', () => {
    const definition = {
      name: 'V8',
      steps: [set('s', { x: '{{ c }}' })],
      output: '{{ variables.x }}',
      variables: { a: { type: 'string', required: true }, b: { type: 'string', enum: ['x', 'y'] }, c: { type: 'number', default: 7 } },
    };

    it('are refused with all problems together, and no row', async () => {
      const workflow = await service.save(definition);
      const answer = await service.api.refused(`/api/workflows/${workflow.id}/run`, { variables: { b: 'z', c: 'x', d: 1 } });
      expect(answer.status).toBe(422);
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(answer.body.code).toBe('validation_failed');
      expect(answer.body.problems?.map(({ code }) => code).toSorted()).toEqual([
        'input_not_in_enum',
        'input_required_missing',
        'input_type_mismatch',
        'input_unknown',
      ]);
      expect((await service.api.get<{ items: Execution[] }>(`/api/workflows/${workflow.id}/executions`)).body.items).toEqual([]);
    });

    it('get their defaults', async () => {
      const ended = await service.runToEnd({ ...definition, name: 'V8 valid' }, { a: 'yes' });
      expect(ended).toMatchObject({ status: 'completed', output: 7, variables: { a: 'yes', c: 7 } });
    });
  });

  it('V10 validate always answers 200 and calls nobody', async () => {
    stub.clear();
    const validate = async (data: unknown) => {
      const { status, body } = await service.api.post<{
        valid: boolean;
        problems: readonly { code: string; severity: string }[];
        hash: string | null;
      }>('/api/workflows/validate', { data });
      expect(status).toBe(200);
      return body;
    };
    expect(await validate({ name: 'ok', steps: [set('s', { a: 1 })] })).toMatchObject({
      valid: true,
      problems: [],
      hash: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
    expect(await validate({ name: 'http', steps: [call('c', stub, '/never')] })).toMatchObject({ valid: true });
    expect(await validate({ steps: [{ type: 'banana' }] })).toMatchObject({ valid: false });
    for (const nonsense of [null, 'text', 5, []]) expect((await validate(nonsense)).valid).toBe(false);
    expect(stub.calls()).toHaveLength(0);
  });

  it('V3 refuses a definition with every problem at once, and saves nothing', async () => {
    const answer = await service.api.refused('/api/workflows/sync', {
      name: 'V3',
      data: {
        name: 'V3',
        steps: [
          { id: 'a', type: 'banana' },
          { id: 'b', type: 'bash' },
          { id: 'c', type: 'loop', steps: [set('x', { y: 1 })] },
          { id: 'd', type: 'wait', duration: '1 week' },
          { id: '1x', type: 'set', values: { a: 1 } },
        ],
      },
    });
    expect([answer.status, answer.body.code]).toEqual([422, 'definition_invalid']);
    expect(answer.body.problems?.map(({ code, path }) => [code, path.match(/^\/steps\/\d/)?.[0]])).toEqual(
      expect.arrayContaining([
        ['unknown_step_type', '/steps/0'],
        ['missing_field', '/steps/1'],
        ['missing_field', '/steps/2'],
        ['duration_invalid', '/steps/3'],
        ['invalid_step_id', '/steps/4'],
      ]),
    );
    expect((await service.api.get<{ items: unknown[] }>('/api/workflows?q=V3')).body.items).toEqual([]);
  });

  describe('X10 expressions that would not end', () => {
    const hostile = {
      'ten million elements': 'length(range(10000000))',
      'nesting of 1,000': `${'['.repeat(1_000)}1${']'.repeat(1_000)}`,
      'a catastrophic pattern': 'matches(s, "(a+)+$")',
      'doubling for ever': 'length(map(range(400), a => map(range(400), b => map(range(400), c => a + b + c))))',
    };

    it.each(Object.entries(hostile))('%s: refused or answered within a second, while others go on', async (_title, expression) => {
      const bystander = await service.run([wait('w', '300ms'), call('c', stub, '/bystander')]);
      const definition = {
        name: `X10 ${_title}`,
        variables: { s: { type: 'string', default: '' } },
        steps: [set('x', { r: `{{ ${expression} }}` })],
      };
      const saved = await service.api.post<{ workflow?: { id: string } } & Partial<ProblemDocument>>('/api/workflows/sync', {
        name: definition.name,
        data: definition,
      });
      if (saved.status === 422) {
        expect(saved.body.problems?.map(({ code }) => code)).toContain('expression_parse_error');
      } else {
        const { id } = await service.runSaved(saved.body.workflow?.id ?? '', { s: `${'a'.repeat(50_000)}b` });
        const ended = await service.untilEnded(id);
        if (ended.status === 'failed') expect(ended.error?.code).toBe('expression_error');
        const row = await service.step(id, 'x');
        expect(Date.parse(row.completedAt ?? '') - Date.parse(row.startedAt ?? '')).toBeLessThan(1_000);
      }
      const other = await service.untilEnded(bystander.id);
      expect(other.status).toBe('completed');
      expect(Date.parse(other.completedAt ?? '') - Date.parse(other.createdAt)).toBeLessThan(4_000);
    });
  });

  it('X12 now() is one instant within a step, and the same after a replay', async () => {
    const { id } = await service.run({
      name: 'X12',
      steps: [
        set('t', { a: '{{ now() }}', b: '{{ now() }}' }),
        gate('g'),
        call('c', stub, '/x12', {}, { body: { a: '{{ variables.a }}' } }),
      ],
    });
    const approval = await service.openApproval(id);
    await service.worker.kill();
    await service.startWorker();
    expect((await service.api.post(`/api/approvals/${approval.id}/approve`)).status).toBe(200);
    expect((await service.untilEnded(id)).status).toBe('completed');
    const { output } = await service.step(id, 't');
    const { a, b } = output as { a: string; b: string };
    expect(a).toBe(b);
    expect(stub.calls('/x12')[0]?.json).toEqual({ a });
  });

  describe('X13 secrets', () => {
    const VALUE = 'correct-horse-battery-staple';
    beforeAll(async () => {
      expect((await service.api.put('/api/secrets/K', { value: VALUE })).status).toBeLessThan(300);
    });

    it('are resolved in the activity and appear nowhere else', async () => {
      stub.on('/x13', ({ headers }) => ({ body: { echoed: headers['x-k'], encoded: Buffer.from(VALUE).toString('base64') } }));
      const ended = await service.runToEnd([call('c', stub, '/x13', {}, { headers: { 'x-k': '{{ secrets.K }}' } })]);
      expect(ended.status).toBe('completed');
      expect(stub.calls('/x13')[0]?.headers['x-k']).toBe(VALUE);
      const shown = JSON.stringify([await service.steps(ended.id), await service.events(ended.id), ended]);
      expect(shown).not.toContain(VALUE);
      expect(shown).not.toContain(Buffer.from(VALUE).toString('base64'));
      const history = await service.historyText(ended.id);
      expect(history).toContain('http:request');
      expect(history).not.toContain(VALUE);
      expect((await service.api.get('/api/secrets')).text).not.toContain(VALUE);
    });

    it('in a condition are a problem at save', async () => {
      const answer = await service.api.refused('/api/workflows/sync', {
        name: 'X13',
        data: { name: 'X13', steps: [{ id: 'c', type: 'conditional', condition: 'secrets.K == "x"', then: [set('s', { a: 1 })] }] },
      });
      expect([answer.status, answer.body.code]).toEqual([422, 'definition_invalid']);
      expect(answer.body.problems?.[0]).toMatchObject({ path: expect.stringMatching(/^\/steps\/0\/condition/) });
    });
  });

  describe('bad requests', () => {
    it.each([
      ['not JSON', '/api/workflows/validate', '{"data":', {}, 400, 'bad_request'],
      [
        'another media type',
        '/api/workflows/validate',
        'name=x',
        { 'content-type': 'application/x-www-form-urlencoded' },
        415,
        'unsupported_media_type',
      ],
      ['20 MB', '/api/workflows/validate', JSON.stringify({ data: 'x'.repeat(20_000_000) }), {}, 413, 'payload_too_large'],
    ])('%s get their documented problem', async (_title, path, raw, headers, status, code) => {
      const answer = await service.api.refused(path, undefined, { raw, headers }).catch((error: NodeJS.ErrnoException) => error);
      // A server may cut the connection before the whole of a too large body is read.
      if (!('status' in answer)) expect([code, answer.code]).toEqual(['payload_too_large', expect.stringMatching(/EPIPE|ECONNRESET/)]);
      else
        expect([answer.status, answer.body?.code, answer.body?.['requestId'], answer.text]).toEqual([
          status,
          code,
          expect.any(String),
          expect.any(String),
        ]);
      expect((await service.api.get('/healthz')).status).toBe(200);
    });

    it('a definition nested 2,000 deep is refused', async () => {
      let steps: unknown[] = [set('leaf', { a: 1 })];
      for (let depth = 0; depth < 2_000; depth += 1) steps = [{ id: `c${depth}`, type: 'conditional', condition: 'true', then: steps }];
      const answer = await service.api.refused('/api/workflows/sync', { name: 'deep', data: { name: 'deep', steps } });
      expect([400, 422]).toContain(answer.status);
      expect(answer.body.code).toMatch(/^(definition_invalid|definition_too_large|validation_failed|bad_request)$/);
      expect((await service.api.get('/healthz')).status).toBe(200);
    });
  });
});
