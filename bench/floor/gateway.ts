/** The floor's gateway process: `POST /` starts a workflow of the floor and answers once Temporal has it. Arguments: Temporal's address, port. */
import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { Client, Connection } from '@temporalio/client';
import { WORKFLOW_TASK_TIMEOUT } from '../../src/workflows/messages.js';

interface Order {
  readonly type: string;
  readonly id: string;
  readonly urls: readonly string[];
}

async function main(): Promise<void> {
  const [address = '', port = '0'] = process.argv.slice(2);
  const client = new Client({ connection: await Connection.connect({ address }) });
  const start = async (request: IncomingMessage): Promise<string> => {
    const { type, id, urls } = JSON.parse((await request.toArray()).join('')) as Order;
    await client.workflow.start(type, {
      taskQueue: 'floor',
      workflowId: id,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      args: [{ urls }],
    });
    return id;
  };
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    void start(request).then(
      (id) => response.writeHead(202).end(JSON.stringify({ id })),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(Number(port), '127.0.0.1');
  await once(server, 'listening');
  process.once('SIGTERM', () => process.exit(0));
  process.send?.({ ready: true });
}

void main();
