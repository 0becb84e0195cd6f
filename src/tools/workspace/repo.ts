/** The `repo` of a run as something that may be given to git. Pure. */
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
  .max(250)
  // oxlint-disable-next-line no-control-regex -- exactly these may not be in a name
  .regex(/^(?!-)(?!.*(?:\.\.|@\{|\/\/))[^\u0000-\u0020\u007f~^:?*[\\]+$/);
const RepoSchema = z.object({ url: z.string().max(2_000), branch: RefName.optional(), ref: RefName.optional() });

/** @throws StepFault `checkout_failed` for what git must not be given */
export function parseRepo(json: Json): Repo {
  const parsed = RepoSchema.safeParse(json);
  if (!parsed.success) throw refused(`The run’s repo has an unusable ${parsed.error.issues.map(({ path }) => path.join('.')).join(', ')}`);
  const { url: text, branch, ref } = parsed.data;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw refused('The url of the run’s repo is no http(s) address');
  if (url.username !== '' || url.password !== '')
    throw refused('The url of the run’s repo holds credentials: store them as the secret GITHUB_TOKEN instead');
  return { url, branch, ref };
}

const refused = (message: string): StepFault => new StepFault('checkout_failed', message);
