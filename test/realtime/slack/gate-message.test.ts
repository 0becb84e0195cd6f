import { gateMessage } from '../../../src/realtime/slack/gate-message.js';
import { escaped, cut } from '../../../src/realtime/slack/mrkdwn.js';
import type { GateRecord } from '../../../src/store/gate-record.js';

const aGate = (overrides: Partial<GateRecord> = {}): GateRecord => ({
  id: 'apr_1',
  ownerId: 'usr_1',
  executionId: 'exe_1',
  sessionId: 'ses_1',
  workflowName: 'Deploy',
  stepId: 'g',
  iterationPath: '',
  attempt: 1,
  toolCall: null,
  prompt: 'Go on?',
  status: 'pending',
  approvers: null,
  quorum: 1,
  form: null,
  votes: [],
  decidedBy: [],
  decidedAt: null,
  reason: null,
  answer: null,
  deadline: '2026-11-24T12:00:00.000Z',
  escalatedTo: [],
  createdAt: '2026-11-24T11:00:00.000Z',
  settledAt: null,
  deliveredAt: null,
  ...overrides,
});
const vote = (name: string, decision: 'approve' | 'deny' = 'approve') =>
  ({ id: `vot_${name}`, by: { id: `usr_${name}`, name }, via: 'slack', decision, reason: null, at: '2026-11-24T11:30:00.000Z' }) as const;
const textOf = (gate: GateRecord, cause: Parameters<typeof gateMessage>[1] = 'required') => JSON.stringify(gateMessage(gate, cause));
const buttonsOf = (gate: GateRecord) => gateMessage(gate, 'required').blocks?.filter(({ type }) => type === 'actions') ?? [];

describe('the message of a gate', () => {
  it('shows prompt, workflow and deadline, with two buttons that name the gate', () => {
    const text = textOf(aGate());
    expect(text).toContain('Approval needed');
    expect(text).toContain('Deploy');
    expect(text).toContain('Go on?');
    expect(text).toContain('<!date^1795521600^');
    expect(buttonsOf(aGate())).toEqual([
      expect.objectContaining({
        elements: [
          expect.objectContaining({ action_id: 'signalbox_approve', value: 'apr_1' }),
          expect.objectContaining({ action_id: 'signalbox_deny', value: 'apr_1' }),
        ],
      }),
    ]);
  });

  it('says how far a quorum is, and by whom', () => {
    const text = textOf(aGate({ quorum: 2, votes: [vote('Ana')] }));
    expect(text).toContain('1 of 2 approvals');
    expect(text).toContain('approved by Ana');
  });

  it.each<[GateRecord['status'], Partial<GateRecord>, string]>([
    [
      'approved',
      {
        decidedBy: [
          { id: 'usr_1', name: 'Ana' },
          { id: 'usr_2', name: 'Bo' },
        ],
        reason: 'fine',
      },
      '*Approved* by Ana, Bo',
    ],
    ['denied', { decidedBy: [{ id: 'usr_2', name: 'Bo' }], reason: 'no' }, '*Denied* by Bo'],
    ['expired', {}, '*Expired*'],
    ['cancelled', {}, '*Cancelled*'],
  ])('has no buttons when %s, and says so with names and reason', (status, end, expected) => {
    const gate = aGate({ status, decidedAt: '2026-11-24T11:45:00.000Z', ...end });
    expect(buttonsOf(gate)).toEqual([]);
    expect(textOf(gate)).toContain(expected);
    if (end.reason !== undefined) expect(textOf(gate)).toContain(`reason: ${end.reason}`);
    expect(gateMessage(gate, 'required').text).not.toMatch(/[*:]\w+:/);
  });

  it('tells a reminder and an escalation apart, and addresses who is linked', () => {
    expect(textOf(aGate(), 'reminded')).toContain('Reminder');
    const escalated = aGate({ escalatedTo: ['CY@x.test', 'group:ops', 'usr_9'] });
    const mentions = new Map([
      ['cy@x.test', { name: 'Cy', slackUserId: 'U7' }],
      ['usr_9', { name: 'Di', slackUserId: null }],
    ]);
    expect(JSON.stringify(gateMessage(escalated, 'escalated', mentions))).toContain('Escalated to <@U7>, ops, Di');
  });

  it('lets nobody be addressed or linked by what users and models wrote', () => {
    const hostile = '<!channel> <@U1> <https://evil.test|Approve> & ```';
    const text = textOf(
      aGate({
        prompt: hostile,
        workflowName: hostile,
        reason: hostile,
        toolCall: { callId: 'c', toolId: hostile, args: { a: hostile }, summary: hostile },
        votes: [vote(hostile)],
        escalatedTo: [hostile],
      }),
    );
    expect(text).not.toMatch(/<!channel>|<@U1>|<https/);
    expect(text).toContain('&lt;!channel&gt;');
    for (const block of gateMessage(aGate({ prompt: hostile }), 'required').blocks ?? [])
      if (block.type === 'section') expect(block).toMatchObject({ text: { verbatim: true } });
  });

  it('fits into what Slack takes, whatever is written', () => {
    const long = '<&>\u{1F600}'.repeat(5_000);
    const people = Array.from({ length: 60 }, (_, index) => ({ id: `usr_${index}`, name: long }));
    for (const status of ['pending', 'approved'] as const) {
      const { text, blocks = [] } = gateMessage(
        aGate({
          status,
          prompt: long,
          workflowName: long,
          reason: long,
          decidedBy: people,
          quorum: 100,
          votes: people.map(({ name }) => vote(name)),
          escalatedTo: people.map(({ name }) => name),
          toolCall: { callId: 'c', toolId: long, args: { long }, summary: long },
        }),
        'escalated',
      );
      expect(text.length).toBeLessThan(4_000);
      expect(blocks.length).toBeLessThanOrEqual(50);
      for (const block of blocks) expect(JSON.stringify(block)).not.toMatch(/"text":"[^"]{3001,}/);
    }
  });
});

describe('text for Slack', () => {
  it('is cut with a mark, between characters and never within an escape', () => {
    expect(escaped('a<b', 100)).toBe('a&lt;b');
    expect(escaped('<<<<', 9)).toBe('&lt;&lt;…');
    expect(escaped('<<<<', 16)).toBe('&lt;&lt;&lt;&lt;');
    expect(escaped('😀😀😀', 5)).toBe('😀😀…');
    expect(cut('😀😀😀', 4)).toBe('😀…');
    expect(cut('abc', 3)).toBe('abc');
  });
});
