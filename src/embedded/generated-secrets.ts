/** Secrets that the service makes for itself on its first start, in files that only its user may read. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface GeneratedSecret {
  readonly value: string;
  readonly isNew: boolean;
}

/** 32 bytes, base64. Whoever loses the file loses what it encrypted. */
export const encryptionKeyIn = (dataDir: string): GeneratedSecret =>
  keep(join(dataDir, 'encryption-key'), () => randomBytes(32).toString('base64'));

/** The first admin's API key. Kept, since later starts load examples with it and the README's commands read it. */
export const bootstrapKeyIn = (dataDir: string): GeneratedSecret =>
  keep(bootstrapKeyFile(dataDir), () => `sbx_${randomBytes(24).toString('hex')}`);

export const bootstrapKeyFile = (dataDir: string): string => join(dataDir, 'bootstrap-key');

function keep(path: string, make: () => string): GeneratedSecret {
  if (existsSync(path)) return { value: readFileSync(path, 'utf8').trim(), isNew: false };
  const value = make();
  // Renamed into place: a start killed half-way must not leave half a key, which the next one would believe.
  writeFileSync(`${path}.tmp`, `${value}\n`, { mode: 0o600 });
  chmodSync(`${path}.tmp`, 0o600);
  renameSync(`${path}.tmp`, path);
  return { value, isNew: true };
}
