import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { ENGINE_VERSION } from '../../src/engine/types.js';
import { bundlePath } from '../support/service-build.js';
import { SCENARIOS } from './scenarios.js';

jest.setTimeout(120_000);

interface Recording {
  readonly name: string;
  readonly text: string;
}

const versions = readdirSync(__dirname).filter((name) => /^\d+$/.test(name));
const recordings = (version: string): readonly Recording[] =>
  readdirSync(join(__dirname, version)).filter((name) => name.endsWith('.json')).map((name) => ({ name: `${version}/${name}`, text: readFileSync(join(__dirname, version, name), 'utf8') }));

describe('D2 recorded histories', () => {
  beforeAll(() => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
  });

  /** Each history is replayed from its first event with nothing cached, as on a worker with `maxCachedWorkflows: 0`. */
  async function replay(histories: readonly Recording[]): Promise<readonly string[]> {
    const faults: string[] = [];
    const input = histories.map(({ name, text }) => ({ workflowId: executionIdIn(text), history: historyFromJSON(JSON.parse(text)), name }));
    const results = Worker.runReplayHistories({ workflowBundle: { codePath: bundlePath() }, replayName: 'recorded' }, input);
    let index = 0;
    for await (const { error } of results) {
      if (error !== undefined) faults.push(`${input[index]?.name}: ${error.name} ${error.message}`);
      index += 1;
    }
    expect(index).toBe(histories.length);
    return faults;
  }

  it.each(versions)('of engine version %s replay on this build', async (version) => {
    expect(await replay(recordings(version))).toEqual([]);
  });

  it('cover every scenario of the present engine version, hand-overs with each of their runs', () => {
    const names = recordings(String(ENGINE_VERSION)).map(({ name }) => name);
    const missing = SCENARIOS.flatMap(({ name, handsOver }) => [`${name}.json`, ...(handsOver === true ? [`${name}.run2.json`] : [])]).filter((name) => !names.includes(`${ENGINE_VERSION}/${name}`));
    expect(missing).toEqual([]);
  });

  it('would show a change of what the workflow orders', async () => {
    const [recording] = recordings(String(ENGINE_VERSION)).filter(({ name }) => name.endsWith('/tool.json'));
    const changed = { name: 'changed', text: (recording?.text ?? '').replace(/"activityId": ?"([^"]*b[^"]*)"/, '"activityId": "another"') };
    expect(changed.text).not.toBe(recording?.text);
    expect((await replay([changed])).join()).toMatch(/Determinism|Nondeterminism|TMPRL1100/i);
  });
});

describe('the workflow bundle', () => {
  const CAP_BYTES = 1_300_000;
  const UNWANTED = ['zod', 'acorn', 'pg', 'express', '@prisma', 'prisma', 'ajv', 'undici', 're2js', 'pino', '@anthropic-ai', '@temporalio/client', '@temporalio/worker'];

  it('stays below its cap', () => {
    expect(existsSync(bundlePath())).toBe(true);
    // Two thirds of the file are its source map; the code alone is evaluated anew for each cached workflow. 1 MB of it is the SDK's.
    const code = readFileSync(bundlePath(), 'utf8').replace(/\/\/# sourceMappingURL=.*$/s, '');
    expect(Buffer.byteLength(code)).toBeGreaterThan(100_000);
    expect(Buffer.byteLength(code)).toBeLessThan(CAP_BYTES);
  });

  it.each(UNWANTED)('holds nothing of %s', (name) => {
    expect(readFileSync(bundlePath(), 'utf8')).not.toContain(`/node_modules/${name}/`);
  });
});

function executionIdIn(text: string): string {
  const { events } = historyFromJSON(JSON.parse(text));
  return events?.[0]?.workflowExecutionStartedEventAttributes?.workflowId ?? 'recorded';
}
