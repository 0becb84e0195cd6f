/** The `repo` of a run: what may be asked for, and what may be given to git. Pure. */
import { z } from 'zod';
import type { Json } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';

export interface Repo {
  readonly url: URL;
  readonly branch: string | undefined;
  /** A branch, tag or commit that is checked out instead of the branch's end. */
  readonly ref: string | undefined;
}

/** What git takes for a name, and nothing that it could take for an option, a pattern or a range. */
const RefName = z
  .string()
  .min(1)
  .max(250)
  // oxlint-disable-next-line no-control-regex -- exactly these may not be in a name
  .regex(/^(?!-)(?!.*(?:\.\.|@\{|\/\/))[^\u0000-\u0020\u007f~^:?*[\\]+$/, 'Expected a name that git takes');

/** `{ url, branch?, ref? }` as a run is started with. */
export const RepoSchema = z.strictObject({
  url: z
    .string()
    .max(2_000)
    .refine((url) => ['http:', 'https:'].includes(urlOf(url)?.protocol ?? ''), 'Expected an http(s) address')
    .refine(
      (url) => (urlOf(url)?.username ?? '') === '' && (urlOf(url)?.password ?? '') === '',
      'Store credentials as the secret GITHUB_TOKEN',
    ),
  branch: RefName.exactOptional(),
  ref: RefName.exactOptional().describe('Branch, tag or commit, instead of the end of the branch'),
});

const urlOf = (text: string): URL | undefined => (URL.canParse(text) ? new URL(text) : undefined);

/** @throws StepFault `checkout_failed` for what git must not be given */
export function parseRepo(json: Json): Repo {
  const parsed = RepoSchema.safeParse(json);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => [...path.map(String), message].join(': '));
    throw new StepFault('checkout_failed', `The run’s repo cannot be cloned: ${faults.join('; ')}`);
  }
  const { url, branch, ref } = parsed.data;
  return { url: new URL(url), branch, ref };
}
