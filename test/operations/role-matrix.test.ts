import { ACTIONS, covers, denialOf, isAllowed, ROLES, type Action, type Capable, type Role } from '../../src/operations/role-matrix.js';

const aPerson = (overrides: Partial<Capable> = {}): Capable => ({ role: 'runner', kind: 'person', scopes: null, ...overrides });

describe('role matrix', () => {
  it.each<[Role, readonly Action[]]>([
    ['viewer', ['read']],
    ['approver', ['read', 'decide']],
    ['runner', ['read', 'run', 'decide']],
    ['editor', ['read', 'run', 'write', 'decide']],
    ['admin', ['read', 'run', 'write', 'decide', 'admin']],
  ])('lets a %s do exactly %j', (role, may) => {
    expect(ACTIONS.filter((action) => isAllowed(aPerson({ role }), action))).toEqual(may);
  });

  it.each(ROLES)('refuses a decision to an agent of role %s by its own code', (role) => {
    expect(denialOf(aPerson({ role, kind: 'agent' }), 'decide')).toBe('agent_cannot_decide');
  });

  it('narrows a key to its scopes, and never widens it', () => {
    expect(isAllowed(aPerson({ role: 'admin', scopes: ['read'] }), 'write')).toBe(false);
    expect(isAllowed(aPerson({ role: 'viewer', scopes: ['write'] }), 'write')).toBe(false);
    expect(isAllowed(aPerson({ role: 'admin', scopes: ['read'] }), 'read')).toBe(true);
  });

  it('says which roles may be handed out by which', () => {
    expect(ROLES.filter((other) => covers('editor', other))).toEqual(['viewer', 'approver', 'runner', 'editor']);
    expect(ROLES.filter((other) => covers('approver', other))).toEqual(['viewer', 'approver']);
  });
});
