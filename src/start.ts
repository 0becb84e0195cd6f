/** The entry point of every role. `all` supervises the rest; any other role is one process, for deployments of several. */
import { ConfigError, loadConfig } from './config.js';
import { join } from 'node:path';
import { runWholeService } from './embedded/run-whole-service.js';
import { ensureSearchAttributes } from './embedded/search-attributes.js';
import { createLogger } from './logger.js';

async function main(): Promise<void> {
  const config = loadConfig();
  if (config.role === 'all') {
    return await runWholeService(config, {
      worker: join(__dirname, 'worker.js'),
      gateway: join(__dirname, 'server.js'),
      examples: join(__dirname, '..', 'examples'),
    });
  }
  const log = createLogger(config.log, config.role);
  const { address, namespace } = config.temporal;
  if (address !== undefined) await ensureSearchAttributes(address, namespace, (line) => log.info(line));
  await (config.role === 'gateway' ? import('./server.js') : import('./worker.js'));
}

main().catch((error: unknown) => {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
});
