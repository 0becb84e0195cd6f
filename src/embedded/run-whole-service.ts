import type { Config } from '../config.js';
import { createLogger } from '../logger.js';
import { CloseStack } from './close-stack.js';
import { type Entries, startWholeService, type WholeService } from './whole-service.js';

/** A second Ctrl-C forces. npm repeats the terminal's signal to us within milliseconds: that is still the first. */
const SECOND_SIGNAL_AFTER_MS = 1_000;
/** How long a start that is under way may take to notice that it was stopped. */
const START_GIVES_UP_MS = 10_000;

let isStopping = false;

/** Runs the whole service in this process and its children until a signal, the end of the parent, or a start that fails; then exits. */
export async function runWholeService(config: Config, entries: Entries): Promise<void> {
  const logger = createLogger(config.log, 'signalbox');
  const log = (line: string): void => logger.info(line);
  const closing = new CloseStack(log);
  const starting = startWholeService({ config, entries, closing, log });
  stopOnSignals(closing, starting, log);
  try {
    const service = await starting;
    process.on('message', (message) => {
      if (message === 'reload') void service.reload();
    });
    announce(service);
  } catch (error) {
    if (isStopping) return;
    logger.fatal(error instanceof Error ? error.message : String(error));
    await closing.closeAll();
    process.exit(1);
  }
}

function stopOnSignals(closing: CloseStack, starting: Promise<unknown>, log: (line: string) => void): void {
  let since = 0;
  const stop = async (why: string): Promise<void> => {
    if (isStopping) {
      if (Date.now() - since < SECOND_SIGNAL_AFTER_MS) return;
      log(`${why} again: ending everything at once`);
      closing.killAll();
      process.exit(1);
    }
    isStopping = true;
    since = Date.now();
    log(`${why}: stopping`);
    await closing.closeAll();
    await Promise.race([starting.catch(() => {}), new Promise((done) => setTimeout(done, START_GIVES_UP_MS).unref())]);
    log('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(signal));
  process.on('disconnect', () => void stop('the parent is gone'));
}

/** Plain lines, whatever the log format: this is for the person who typed the command. */
function announce({ url, temporalUiUrl, apiKey }: WholeService): void {
  const lines = [`Signalbox is ready: ${url}`, `API documentation:  ${url}/docs`];
  if (temporalUiUrl !== undefined) lines.push(`Temporal UI:        ${temporalUiUrl}`);
  lines.push(apiKey.isNew ? `First API key:      ${apiKey.value}  (kept in ${apiKey.place})` : `API key:            in ${apiKey.place}`);
  console.log(`\n${lines.map((line) => `  ${line}`).join('\n')}\n`);
}
