import {
  eventTypeOf,
  isWider,
  mismatchOf,
  repoOf,
  type GithubConfig,
  type GithubEvent,
} from '../../../src/operations/triggers/github-match.js';

const config = (overrides: Partial<GithubConfig> = {}): GithubConfig => ({ repos: ['acme/web'], events: ['pull_request'], ...overrides });
const pull = (overrides: object = {}): GithubEvent => ({
  name: 'pull_request',
  payload: {
    action: 'opened',
    repository: { full_name: 'Acme/Web' },
    pull_request: { base: { ref: 'main' }, labels: [{ name: 'bug' }, { name: 'ui' }] },
    ...overrides,
  },
});
const push = (ref: string): GithubEvent => ({ name: 'push', payload: { ref, repository: { full_name: 'acme/web' } } });

describe('T7 which GitHub events a trigger takes', () => {
  it.each([
    ['a bare event with any action', config(), pull({ action: 'closed' }), true],
    ['a qualified one with its action', config({ events: ['pull_request.opened'] }), pull(), true],
    ['a qualified one with another', config({ events: ['pull_request.opened'] }), pull({ action: 'closed' }), false],
    ['another event', config({ events: ['issues'] }), pull(), false],
    ['an action that is listed', config({ filter: { actions: ['opened', 'reopened'] } }), pull(), true],
    ['an action that is not', config({ filter: { actions: ['closed'] } }), pull(), false],
    ['the base of a pull request', config({ filter: { branch: 'main' } }), pull(), true],
    ['one branch of a list', config({ events: ['push'], filter: { branch: ['dev', 'release/1'] } }), push('refs/heads/release/1'), true],
    ['a branch that is not listed', config({ events: ['push'], filter: { branch: ['dev'] } }), push('refs/heads/main'), false],
    ['a tag where a branch is asked for', config({ events: ['push'], filter: { branch: 'main' } }), push('refs/tags/main'), false],
    ['any overlap of labels', config({ filter: { labels: ['ui', 'later'] } }), pull(), true],
    ['no overlap', config({ filter: { labels: ['later'] } }), pull(), false],
    ['all filters at once', config({ filter: { actions: ['opened'], branch: 'main', labels: ['bug'] } }), pull(), true],
    ['all but one', config({ filter: { actions: ['opened'], branch: 'dev', labels: ['bug'] } }), pull(), false],
  ])('%s: %#', (_what, trigger, event, expected) => {
    expect(mismatchOf(trigger, event) === undefined).toBe(expected);
  });

  it('names event and repository', () => {
    expect([eventTypeOf(pull()), eventTypeOf(push('refs/heads/x')), repoOf(pull())]).toEqual(['pull_request.opened', 'push', 'Acme/Web']);
  });

  it.each([
    ['the same', config(), false],
    ['another repository', config({ repos: ['acme/web', 'acme/api'] }), true],
    ['the same in capitals', config({ repos: ['ACME/web'] }), false],
    ['another event', config({ events: ['pull_request', 'push'] }), true],
    ['one action of a bare event', config({ events: ['pull_request.opened'] }), false],
    ['a filter more', config({ filter: { branch: 'main' } }), false],
  ])('%s is wider: %s', (_what, next, expected) => {
    expect(isWider(config(), next)).toBe(expected);
  });

  it('is wider without its filter, or with a longer one', () => {
    const filtered = config({ filter: { branch: ['main'], labels: ['bug'] } });
    expect([
      isWider(filtered, config()),
      isWider(filtered, config({ filter: { branch: ['main', 'dev'], labels: ['bug'] } })),
      isWider(filtered, filtered),
    ]).toEqual([true, true, false]);
  });
});
