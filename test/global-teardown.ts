import { once } from 'node:events';

/** Lets the servers' process go and waits until it has stopped them. */
export default async function globalTeardown(): Promise<void> {
  const child = globalThis.testServers;
  if (child === undefined || child.exitCode !== null) return;
  const gone = once(child, 'exit');
  child.disconnect();
  await gone;
}
