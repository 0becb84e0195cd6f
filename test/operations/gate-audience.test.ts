import { mayDecide, maySee, type GateAudience, type Person } from '../../src/operations/gate-audience.js';

const aPerson = (overrides: Partial<Person> = {}): Person => ({ userId: 'usr_ana', email: 'ana@example.test', groups: [], ...overrides });
const aGate = (overrides: Partial<GateAudience> = {}): GateAudience => ({
  approvers: null,
  escalatedTo: [],
  owner: { userId: 'usr_owner', groups: ['ops'] },
  ...overrides,
});

describe('who may decide', () => {
  it.each<[string, GateAudience, Person, boolean]>([
    ['a user id on the list', aGate({ approvers: ['usr_ana'] }), aPerson(), true],
    ['an e-mail on the list, in any case', aGate({ approvers: ['ANA@example.test'] }), aPerson(), true],
    ['a member of a listed group', aGate({ approvers: ['group:sec'] }), aPerson({ groups: ['sec'] }), true],
    ['a group named without its prefix', aGate({ approvers: ['sec'] }), aPerson({ groups: ['sec'] }), false],
    [
      'the owner, when a list does not name them (H5)',
      aGate({ approvers: ['usr_ana'] }),
      aPerson({ userId: 'usr_owner', groups: ['ops'], email: 'o@x' }),
      false,
    ],
    ['the owner, without a list', aGate(), aPerson({ userId: 'usr_owner' }), true],
    ['a person who shares a group with the owner, without a list', aGate(), aPerson({ groups: ['ops'] }), true],
    ['a stranger, without a list', aGate(), aPerson({ groups: ['dev'] }), false],
    ['anybody, with an empty list', aGate({ approvers: [] }), aPerson({ groups: ['ops'] }), false],
    ['whom an escalation added (H13)', aGate({ approvers: ['usr_bo'], escalatedTo: ['usr_ana'] }), aPerson(), true],
  ])('%s', (_case, gate, person, expected) => {
    expect(mayDecide(gate, person)).toBe(expected);
  });

  it('shows a gate to owner, approvers and admins alone', () => {
    const gate = aGate({ approvers: ['usr_ana'] });
    expect(maySee(gate, { ...aPerson(), role: 'approver' })).toBe(true);
    expect(maySee(gate, { ...aPerson({ userId: 'usr_owner' }), role: 'viewer' })).toBe(true);
    expect(maySee(gate, { ...aPerson({ userId: 'usr_x', email: 'x@x' }), role: 'admin' })).toBe(true);
    expect(maySee(gate, { ...aPerson({ userId: 'usr_x', email: 'x@x', groups: ['ops'] }), role: 'editor' })).toBe(false);
  });
});
