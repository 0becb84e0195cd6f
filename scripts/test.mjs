/** `npm test`: brings the checkout up to date, runs Jest with the arguments given, closes with `N passed, N failed`. */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { prepare } from './prepare.mjs';

const RESULT = '.cache/test-result.json';

await prepare();
rmSync(RESULT, { force: true });
const jest = spawn(process.execPath, ['node_modules/jest/bin/jest.js', '--json', `--outputFile=${RESULT}`, ...process.argv.slice(2)], {
  // Tests that start the built service need not look whether it is current.
  env: { ...process.env, SIGNALBOX_PREPARED: '1' },
  stdio: ['inherit', 'ignore', 'inherit'], // with --json the report is on stderr, and stdout repeats the file
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => jest.kill(signal));
const code = await new Promise((done) => jest.once('exit', (status, signal) => done(signal === null ? status : 1)));
const { passed, failed } = readCounts();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = code !== 0 || failed > 0 || passed === 0 ? 1 : 0;

/** A file that does not even load counts as one failure: it has no tests to count. */
function readCounts() {
  try {
    const result = JSON.parse(readFileSync(RESULT, 'utf8'));
    return { passed: result.numPassedTests, failed: result.numFailedTests + result.numRuntimeErrorTestSuites };
  } catch {
    return { passed: 0, failed: 1 };
  }
}
