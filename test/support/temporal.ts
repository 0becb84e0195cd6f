import { randomBytes } from 'node:crypto';
import { testServer } from './test-server-address.js';

export interface TestTemporal {
  /** host:port of the run's dev server, started when the first file asks. */
  readonly address: string;
  readonly namespace: string;
  /** Unique to the call: prefix of this file's task queues and workflow ids. */
  readonly prefix: string;
}

/** The Temporal server of this test run, configured as the embedded one is. The first call may wait for a download of the CLI. */
export async function testTemporal(): Promise<TestTemporal> {
  const { address } = await testServer<{ address: string }>('temporal');
  return { address, namespace: 'default', prefix: `t${randomBytes(5).toString('hex')}` };
}
