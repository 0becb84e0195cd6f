/** The floor's worker process: settings of ours, its own task queue. Arguments: Temporal's address, the stub's host:port. */
import { NativeConnection, Runtime, DefaultLogger, Worker, bundleWorkflowCode } from '@temporalio/worker';
import { createHttpClient, createHttpRequestTool } from '../../src/tools/index.js';
import { createToolRegistry } from '../../src/tools/registry.js';
import { CONCURRENT_ACTIVITIES, WORKER_SETTINGS } from '../../src/worker-settings.js';
import { createFloorActivities } from './activities.js';

async function main(): Promise<void> {
  const [address = '', stub = ''] = process.argv.slice(2);
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const connection = await NativeConnection.connect({ address });
  const workflowBundle = await bundleWorkflowCode({ workflowsPath: require.resolve('./workflows.ts'), logger: new DefaultLogger('WARN') });
  const tools = createToolRegistry([createHttpRequestTool(createHttpClient({ allow: [stub] }))]);
  const worker = await Worker.create({
    connection,
    namespace: 'default',
    taskQueue: 'floor',
    workflowBundle,
    activities: { ...createFloorActivities(tools) },
    ...WORKER_SETTINGS,
    maxConcurrentActivityTaskExecutions: CONCURRENT_ACTIVITIES.core,
  });
  process.once('SIGTERM', () => worker.shutdown());
  process.send?.({ ready: true });
  await worker.run();
  await connection.close();
}

void main();
