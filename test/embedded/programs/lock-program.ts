/** Holds the lock of the folder given, and stays. */
import { lockInstance } from '../../../src/embedded/instance-lock.js';

void lockInstance(process.argv[2] ?? '').then(() => {
  console.log('LOCKED');
  setInterval(() => {}, 60_000);
});
