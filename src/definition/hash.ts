import { createHash } from 'node:crypto';
import { canonicalJson } from './json-check.js';
import type { Json } from './value.js';

/** `sha256:…` of canonical JSON: equal for documents that differ only in the order of keys. Not for the workflow. */
export const hashOf = (json: Json): string => `sha256:${createHash('sha256').update(canonicalJson(json)).digest('hex')}`;
