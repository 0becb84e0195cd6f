/** Worker processes and when each last said that it is there. */
import type { Database } from './database.js';
import { newId } from './ids.js';
import { statement } from './statement.js';

const BEAT_MS = 2_000;
/** A busy machine may miss a beat or two; who is asked must know of a dead worker within ten seconds. */
const SEEN_WITHIN_MS = 7_500;

const BEAT = statement(
  'worker_beat',
  `WITH gone AS (DELETE FROM workers WHERE seen_at < clock_timestamp() - interval '1 hour')
   INSERT INTO workers (id, queues, is_demo_model, started_at, seen_at) VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp())
   ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp()`,
);
const LEAVE = statement('worker_leave', 'DELETE FROM workers WHERE id = $1');
const SEEN = statement(
  'worker_seen',
  `SELECT 1 FROM workers WHERE $1 = ANY (queues) AND seen_at > clock_timestamp() - $2 * interval '1 millisecond' LIMIT 1`,
);

const DEMO = statement(
  'worker_demo',
  `SELECT bool_or(is_demo_model) AS "isDemo" FROM workers WHERE $1 = ANY (queues) AND seen_at > clock_timestamp() - $2 * interval '1 millisecond'`,
);

export interface HeartbeatOptions {
  /** Task queues that the process polls. */
  readonly queues: readonly string[];
  /** The built-in demo model answers in it. */
  readonly isDemoModel?: boolean;
  /** Told of the first of a row of failures: the database is away, or not migrated yet. */
  readonly onMissed: (error: unknown) => void;
  readonly everyMs?: number;
}

export interface Heartbeat {
  /** The process takes no more work: it is gone for whoever asks. Safe to call again. */
  stop(): Promise<void>;
}

/** Says every two seconds that this process is there. */
export function startHeartbeat(db: Database, { queues, isDemoModel = false, onMissed, everyMs = BEAT_MS }: HeartbeatOptions): Heartbeat {
  const id = newId('wrk');
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let hasMissed = false;
  const beat = async (): Promise<void> => {
    try {
      await db.rows(BEAT, [id, [...queues], isDemoModel]);
      hasMissed = false;
    } catch (error) {
      if (!hasMissed) onMissed(error);
      hasMissed = true;
    }
    if (!isStopped) timer = setTimeout(again, everyMs).unref();
  };
  const again = (): void => {
    beating = beat();
  };
  let beating = beat();
  return {
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await beating;
      // A row that stays is too old within seconds.
      await db.rows(LEAVE, [id]).catch((error: unknown) => onMissed(error));
    },
  };
}

/** Whether a worker that polls this queue has said so within the last seconds, by PostgreSQL's clock. */
export async function isWorkerSeen(db: Database, queue: string): Promise<boolean> {
  return (await db.rows(SEEN, [queue, SEEN_WITHIN_MS])).length > 0;
}

/** Whether the demo model may answer what comes to this queue; undefined: no worker polls it now. */
export async function isDemoModelSeen(db: Database, queue: string): Promise<boolean | undefined> {
  const [row] = await db.rows<{ isDemo: boolean | null }>(DEMO, [queue, SEEN_WITHIN_MS]);
  return row?.isDemo ?? undefined;
}
