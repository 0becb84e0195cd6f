/** Starts an embedded PostgreSQL in the folder given, prints where, and stays. */
import { startPostgres } from '../../../src/embedded/postgres.js';

void startPostgres({ dir: process.argv[2] ?? '', log: console.log }).then((server) => {
  console.log(`SERVES ${server.url} ${server.pid()}`);
  setInterval(() => {}, 60_000);
});
