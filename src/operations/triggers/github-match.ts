/** Which GitHub events a trigger is about. Pure. */
import type { Json, JsonObject } from '../../definition/value.js';

export interface GithubFilter {
  readonly actions?: readonly string[];
  /** The pushed branch, or the base of the pull request. */
  readonly branch?: string | readonly string[];
  /** One of them is enough. */
  readonly labels?: readonly string[];
}
export interface GithubConfig {
  /** Full names, in any case. */
  readonly repos: readonly string[];
  /** `pull_request` takes every action, `pull_request.opened` that one. */
  readonly events: readonly string[];
  readonly filter?: GithubFilter;
}

/** What was delivered. `name` is the `X-GitHub-Event`. */
export interface GithubEvent {
  readonly name: string;
  readonly payload: JsonObject;
}

const partOf = (value: Json | undefined, key: string): Json | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, key)
    ? (value as JsonObject)[key]
    : undefined;
const textOf = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

export const actionOf = ({ payload }: GithubEvent): string | undefined => textOf(partOf(payload, 'action'));
export const repoOf = ({ payload }: GithubEvent): string | undefined => textOf(partOf(partOf(payload, 'repository'), 'full_name'));
/** `pull_request.opened`, or the bare name of an event without actions. */
export const eventTypeOf = (event: GithubEvent): string => [event.name, actionOf(event)].filter((part) => part !== undefined).join('.');

/** Why an event of the trigger's repository is none for it; undefined when it is one. */
export function mismatchOf(config: GithubConfig, event: GithubEvent): string | undefined {
  const type = eventTypeOf(event);
  if (!config.events.some((wanted) => wanted === event.name || wanted === type))
    return `the event ${type} is not among ${config.events.join(', ')}`;
  const { actions, branch, labels } = config.filter ?? {};
  const action = actionOf(event);
  if (actions !== undefined && (action === undefined || !actions.includes(action)))
    return `the action ${action ?? '(none)'} is not among ${actions.join(', ')}`;
  const branches = branch === undefined ? undefined : [branch].flat();
  const own = branchOf(event);
  if (branches !== undefined && (own === undefined || !branches.includes(own)))
    return `the branch ${own ?? '(none)'} is not among ${branches.join(', ')}`;
  const has = labelsOf(event);
  if (labels !== undefined && !labels.some((label) => has.includes(label))) return `none of the labels ${labels.join(', ')}`;
  return undefined;
}

function branchOf({ payload }: GithubEvent): string | undefined {
  const ref = textOf(partOf(payload, 'ref'));
  if (ref?.startsWith('refs/heads/') === true) return ref.slice('refs/heads/'.length);
  return textOf(partOf(partOf(partOf(payload, 'pull_request'), 'base'), 'ref'));
}

function labelsOf({ payload }: GithubEvent): string[] {
  const listed = ['pull_request', 'issue', 'discussion'].map((key) => partOf(partOf(payload, key), 'labels'));
  const labels = [...listed.flatMap((list) => (Array.isArray(list) ? (list as Json[]) : [])), partOf(payload, 'label') ?? null];
  return labels.flatMap((label) => textOf(partOf(label, 'name')) ?? []);
}

/** Whether `next` takes something that `before` did not: then it is an admin's to allow, as the secret is the deployment's. */
export function isWider(before: GithubConfig, next: GithubConfig): boolean {
  const repos = new Set(before.repos.map((repo) => repo.toLowerCase()));
  const events = new Set(before.events);
  const takesMore =
    next.repos.some((repo) => !repos.has(repo.toLowerCase())) ||
    next.events.some((event) => !events.has(event) && !events.has(event.split('.')[0] ?? ''));
  return (
    takesMore ||
    isLooser(before.filter?.actions, next.filter?.actions) ||
    isLooser(before.filter?.branch, next.filter?.branch) ||
    isLooser(before.filter?.labels, next.filter?.labels)
  );
}

function isLooser(before: string | readonly string[] | undefined, next: string | readonly string[] | undefined): boolean {
  if (before === undefined) return false;
  if (next === undefined) return true;
  const allowed = [before].flat();
  return [next].flat().some((value) => !allowed.includes(value));
}
