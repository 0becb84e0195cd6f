import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The service's version, from package.json: beside `src` and beside `dist` alike. */
export const VERSION: string = (
  JSON.parse(readFileSync(path.join(__dirname, '..', '..', 'package.json'), 'utf8')) as { readonly version: string }
).version;
