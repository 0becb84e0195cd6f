/** `npm run bench`: brings the checkout up to date, then runs bench/main.ts from source with the arguments given. */
import { spawn } from 'node:child_process';
import { prepare } from './prepare.mjs';

/** What only reads result files builds nothing. */
const isReading = ['--table', '--compare'].includes(process.argv[2] ?? '');
await prepare({ build: !isReading });
const bench = spawn(process.execPath, ['-r', './scripts/register.cjs', 'bench/main.ts', ...process.argv.slice(2)], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => bench.kill(signal));
bench.once('exit', (code, signal) => process.exit(signal === null ? code : 1));
