import { slackRoutes } from '../../src/api/slack/routes.js';
import { compileDefinition } from '../../src/definition/index.js';
import { blocksOf, readDocument } from './readme-blocks.js';

const slug = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .trim()
    .replaceAll(/\s+/g, '-');

describe.each(['docs/approvals.md', 'docs/slack.md'])('%s', (page) => {
  it('links only to pages and headings that exist', () => {
    const links = [...readDocument(page).matchAll(/\]\(([\w./-]*\.md)?(?:#([\w-]+))?\)/g)];
    expect(links.length).toBeGreaterThan(1);
    for (const [, file, anchor] of links) {
      const headings = [...readDocument(file === undefined ? page : `docs/${file}`).matchAll(/^#+ (.*)$/gm)].map((match) =>
        slug(match[1] ?? ''),
      );
      if (anchor !== undefined) expect(headings).toContain(anchor);
    }
  });
});

describe('docs/approvals.md', () => {
  const page = readDocument('docs/approvals.md');

  it('shows a definition that is valid, with every field that it explains', () => {
    const [example = '{}'] = blocksOf(page, 'json');
    const definition = JSON.parse(example) as { steps: [Record<string, unknown>] };
    expect(compileDefinition(definition).problems).toEqual([]);
    const explained = [...page.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]);
    expect(Object.keys(definition.steps[0]).filter((field) => field !== 'id' && field !== 'type')).toEqual(explained);
  });
});

describe('docs/slack.md', () => {
  const page = readDocument('docs/slack.md');

  it('has a manifest whose address is the door that is there', () => {
    const [manifest = '{}'] = blocksOf(page, 'json');
    const { settings, oauth_config: oauth } = JSON.parse(manifest) as {
      settings: { interactivity: { request_url: string } };
      oauth_config: { scopes: { bot: string[] } };
    };
    expect(slackRoutes.map(({ path }) => path)).toContain(new URL(settings.interactivity.request_url).pathname);
    expect(oauth.scopes.bot).toContain('chat:write');
  });
});
