/** Which calls run at once, which wait for a person, which never run (design §5). Pure. */
import type { Risk } from './tool.js';

export type PolicySetting = 'allow' | 'approve' | 'deny';

/** By tool id, by `provider:*`, or by risk; the nearest one counts. */
export interface ToolPolicy {
  readonly [key: string]: PolicySetting;
}

/** What holds where nobody has said anything. */
export const DEFAULT_POLICY = { low: 'allow', medium: 'approve', high: 'deny' } as const satisfies Record<Risk, PolicySetting>;

export interface PolicyDecision {
  readonly decision: 'allow' | 'approval' | 'deny';
  /** For people: which setting decided, and whose. */
  readonly reason: string;
}

/** The policies that bear on a call: the operator's (`SIGNALBOX_TOOL_POLICY`) and the owner's. */
export interface Policies {
  readonly deployment: ToolPolicy;
  readonly own: ToolPolicy;
}

interface Judged {
  readonly id: string;
  readonly provider: string;
  readonly risk: Risk;
}

const STRICTNESS: Readonly<Record<PolicySetting, number>> = { allow: 0, approve: 1, deny: 2 };
const DECISIONS = { allow: 'allow', approve: 'approval', deny: 'deny' } as const;

/**
 * The owner's setting counts, else the operator's, else the default of the risk; but nobody loosens what the operator has set.
 * A user may therefore let medium tools through for themselves, unless `SIGNALBOX_TOOL_POLICY` speaks of them.
 */
export function decideTool(tool: Judged, { deployment, own }: Policies): PolicyDecision {
  const byDefault = { setting: DEFAULT_POLICY[tool.risk], reason: `tools of ${tool.risk} risk, by default` };
  const operator = settingOf(tool, deployment, 'SIGNALBOX_TOOL_POLICY');
  const wanted = settingOf(tool, own, 'the owner’s policy') ?? operator ?? byDefault;
  const final = operator !== undefined && STRICTNESS[operator.setting] > STRICTNESS[wanted.setting] ? operator : wanted;
  return { decision: DECISIONS[final.setting], reason: final.reason };
}

function settingOf(tool: Judged, policy: ToolPolicy, whose: string): { setting: PolicySetting; reason: string } | undefined {
  for (const key of [tool.id, `${tool.provider}:*`, tool.risk]) {
    const setting = Object.hasOwn(policy, key) ? policy[key] : undefined;
    if (setting !== undefined) return { setting, reason: `"${key}": "${setting}" in ${whose}` };
  }
  return undefined;
}

/** What a key of a policy may look like: a risk, `provider:*`, or a tool id. Pure. */
export const isPolicyKey = (key: string): boolean => /^(?:low|medium|high|[a-z][a-z0-9_-]{0,63}:(?:\*|[A-Za-z0-9_.-]{1,128}))$/.test(key);
