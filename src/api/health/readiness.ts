/** Whether each part that the service stands on answers, asked at most once a second however often anybody looks. */

export interface Probe {
  /** Resolves when the part is there; rejects, or takes too long, when it is not. */
  (): Promise<unknown>;
}

export interface ReadinessProbes {
  readonly postgres: Probe;
  readonly temporal: Probe;
  /** A worker of runs has said lately that it is there. */
  readonly worker: Probe;
}

export interface Readiness {
  readonly ready: boolean;
  readonly postgres: { readonly ok: boolean };
  readonly temporal: { readonly ok: boolean; readonly address: string; readonly namespace: string; readonly uiUrl?: string };
  readonly worker: { readonly ok: boolean };
}

export interface TemporalPlace {
  readonly address: string;
  readonly namespace: string;
  readonly uiUrl?: string;
}

const REMEMBER_MS = 1_000;
const PATIENCE_MS = 2_500;

export type ReadReadiness = () => Promise<Readiness>;

export function createReadiness(probes: ReadinessProbes, temporal: TemporalPlace): ReadReadiness {
  let last: { readonly at: number; readonly answer: Promise<Readiness> } | undefined;
  return () => {
    const now = Date.now();
    if (last === undefined || now - last.at >= REMEMBER_MS) last = { at: now, answer: look(probes, temporal) };
    return last.answer;
  };
}

async function look(probes: ReadinessProbes, place: TemporalPlace): Promise<Readiness> {
  const [postgres, temporal, worker] = await Promise.all([answers(probes.postgres), answers(probes.temporal), answers(probes.worker)]);
  return {
    ready: postgres && temporal && worker,
    postgres: { ok: postgres },
    temporal: { ok: temporal, ...place },
    worker: { ok: worker },
  };
}

function answers(probe: Probe): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), PATIENCE_MS);
    const settle = (ok: boolean): void => {
      clearTimeout(timer);
      resolve(ok);
    };
    probe().then(
      () => settle(true),
      () => settle(false),
    );
  });
}
