/** `SIGNALBOX_ROLE=all` with stand-ins for the worker and the gateway; the folder of examples is the first argument. */
import { join } from 'node:path';
import { loadConfig } from '../../../src/config.js';
import { runWholeService } from '../../../src/embedded/run-whole-service.js';

const standIn = join(__dirname, 'fake-process.cjs');
void runWholeService(loadConfig(), { worker: standIn, gateway: standIn, examples: process.argv[2] ?? '' });
