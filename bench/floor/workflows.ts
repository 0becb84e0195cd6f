/**
 * The floor: the workflow that a Temporal user would write by hand for the same work. Same server, worker settings, stub
 * and HTTP code; its activity does the tool's work and records nothing.
 */
import { condition, defineQuery, defineSignal, proxyActivities, setHandler } from '@temporalio/workflow';
import type { FloorActivities } from './activities.js';

const { http } = proxyActivities<FloorActivities>({
  startToCloseTimeout: '30s',
  retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' },
});

export async function sequence({ urls }: { urls: string[] }): Promise<number> {
  for (const url of urls) await http({ url });
  return urls.length;
}

export async function fanOut({ urls }: { urls: string[] }): Promise<number> {
  await Promise.all(urls.map((url) => http({ url })));
  return urls.length;
}

/** Waits for the signal `approve`, then calls. */
export async function gated({ url }: { url: string }): Promise<void> {
  let isOpen = false;
  setHandler(defineSignal('approve'), () => {
    isOpen = true;
  });
  setHandler(defineQuery('isWaiting'), () => !isOpen);
  await condition(() => isOpen);
  await http({ url });
}
