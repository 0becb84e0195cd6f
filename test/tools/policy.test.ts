import { decideTool, isPolicyKey, type ToolPolicy } from '../../src/tools/policy.js';

const judged = (risk: 'low' | 'medium' | 'high') => ({ id: 'mail:send', provider: 'mail', risk });
const decide = (risk: 'low' | 'medium' | 'high', deployment: ToolPolicy, own: ToolPolicy) =>
  decideTool(judged(risk), { deployment, own }).decision;

describe('tool policy', () => {
  it.each([
    ['low', 'allow'],
    ['medium', 'approval'],
    ['high', 'deny'],
  ] as const)('decides %s by default as %s', (risk, decision) => {
    expect(decide(risk, {}, {})).toBe(decision);
  });

  it.each<[ToolPolicy, ToolPolicy, string, string]>([
    [{ medium: 'allow' }, {}, 'allow', 'the operator speaks of the risk'],
    [{ medium: 'deny', 'mail:send': 'allow' }, {}, 'allow', 'the id is nearer than the risk'],
    [{ medium: 'deny', 'mail:*': 'allow' }, {}, 'allow', 'so is the provider'],
    [{ 'mail:*': 'allow', 'mail:send': 'approve' }, {}, 'approval', 'and the id nearer than the provider'],
    [{}, { medium: 'allow' }, 'allow', 'an owner loosens a default'],
    [{}, { 'mail:send': 'deny' }, 'deny', 'an owner tightens it'],
    [{ medium: 'approve' }, { 'mail:send': 'allow' }, 'approval', 'nobody loosens what the operator has set'],
    [{ 'mail:send': 'allow' }, { medium: 'deny' }, 'deny', 'but tightens it'],
    [{ low: 'deny' }, { medium: 'allow' }, 'allow', 'what is said of another risk does not count'],
  ])('operator %j, owner %j: %s (%s)', (deployment, own, decision) => {
    expect(decide('medium', deployment, own)).toBe(decision);
  });

  it('says which setting decided', () => {
    const { reason } = decideTool(judged('low'), { deployment: { 'mail:*': 'deny' }, own: { low: 'allow' } });
    expect(reason).toBe('"mail:*": "deny" in SIGNALBOX_TOOL_POLICY');
  });

  it('looks at own keys alone', () => {
    const hostile = Object.create({ 'mail:send': 'allow' }) as ToolPolicy;
    expect(decide('high', hostile, hostile)).toBe('deny');
  });

  it.each([
    ['low', true],
    ['mail:*', true],
    ['github:createIssue.v2', true],
    ['lower', false],
    ['mail', false],
    ['*', false],
    ['a:b:c', false],
    ['__proto__', false],
  ])('knows whether %s is a key', (key, is) => {
    expect(isPolicyKey(key)).toBe(is);
  });
});
