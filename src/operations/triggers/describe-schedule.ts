import cronstrue from 'cronstrue';
import type { Cron } from './cron.js';

const UNITS: { readonly [unit: string]: string } = { s: 'second', m: 'minute', h: 'hour', d: 'day' };

/** A cron expression in words, such as `At 09:00 AM, Monday through Friday`. Pure. */
export function describeCron(cron: Cron): string {
  if (cron.kind === 'every') return describeEvery(cron.text);
  const fields = cron.text.split(' ');
  // Temporal's sixth field is the year; cronstrue would take a first one for the seconds.
  return cronstrue.toString(fields.length === 6 ? `0 ${cron.text}` : cron.text);
}

function describeEvery(text: string): string {
  const [every = '', offset] = text.replace(/^@every +/, '').split('/');
  const words = (duration: string): string =>
    [...duration.matchAll(/(\d+)([smhd])/g)]
      .map(([, count, unit]) => `${Number(count)} ${UNITS[unit ?? '']}${Number(count) === 1 ? '' : 's'}`)
      .join(' ');
  return `Every ${words(every)}${offset === undefined ? '' : `, ${words(offset)} past`}`;
}
