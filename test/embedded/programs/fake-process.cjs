/**
 * Stands for the gateway or the worker: keeps their promises towards the supervisor and notes in a journal what happens to it.
 * FAKE_JOURNAL: the file. As gateway it answers /readyz and takes examples; GET /die ends it.
 */
const { appendFileSync } = require('node:fs');
const { createServer } = require('node:http');

const role = process.env.SIGNALBOX_ROLE;
const note = (text) => appendFileSync(process.env.FAKE_JOURNAL, `${role} ${text}\n`);
const end = (why) => {
  note(why);
  process.exit(0);
};

note(`started pid=${process.pid} key=${process.env.SIGNALBOX_ENCRYPTION_KEY?.length} database=${process.env.DATABASE_URL !== undefined}`);
process.on('SIGTERM', () => end('stopped'));
process.on('SIGINT', () => {});
process.on('disconnect', () => end('orphaned'));
setInterval(() => {}, 60_000);

if (role === 'gateway') {
  const server = createServer((request, response) => {
    if (request.url === '/die') process.exit(9);
    if (request.url === '/api/workflows/sync') {
      let body = '';
      request.on('data', (chunk) => (body += chunk));
      request.on('end', () => {
        note(`synced ${JSON.parse(body).name} ${request.headers.authorization === `Bearer ${process.env.SIGNALBOX_BOOTSTRAP_KEY}`}`);
        response.end('{}');
      });
      return;
    }
    response.end('{"ready":true}');
  });
  server.listen(Number(process.env.PORT), process.env.HOST ?? '127.0.0.1', () => process.send({ ready: true }));
} else {
  process.send({ ready: true });
}
