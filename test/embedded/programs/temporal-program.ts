/** Starts an embedded Temporal in the folder given, prints where, and stays. */
import { startTemporal } from '../../../src/embedded/temporal.js';

void startTemporal({ dir: process.argv[2] ?? '', ui: false, log: console.log }).then((server) => {
  console.log(`SERVES ${server.address} ${server.pid()}`);
  setInterval(() => {}, 60_000);
});
