/** `npm start`: brings the checkout up to date, then runs the service in this process (signals reach it directly). */
import { createRequire } from 'node:module';
import { prepare } from './prepare.mjs';

await prepare();
createRequire(import.meta.url)('../dist/start.js');
