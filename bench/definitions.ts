/** What is run. Addresses come as variables, so that one saved definition serves every run. */

type StepJson = Readonly<Record<string, unknown>>;
interface Definition {
  readonly name: string;
  readonly variables?: Readonly<Record<string, StepJson>>;
  readonly constraints?: StepJson;
  readonly steps: readonly StepJson[];
}

/** How a call runs: inside a segment; or as an activity of its own, since it must not repeat, or since its own limit is long. */
export type Weight = 'light' | 'once' | 'long';

const HEAVY = { light: {}, once: { onCrash: 'fail' }, long: {} };

export function call(id: string, path: string, weight: Weight): StepJson {
  const url = `{{variables.base}}/${path}`;
  return { id, type: 'tool', tool: 'http:request', arguments: weight === 'long' ? { url, timeoutMs: 60_000 } : { url }, ...HEAVY[weight] };
}

const variables = { base: { type: 'string', required: true } };

/** `steps` calls one after the other. */
export const sequenceDefinition = (steps: number, weight: Weight): Definition => ({
  name: `bench ${steps} ${weight} steps`,
  variables,
  steps: Array.from({ length: steps }, (_, index) => call(`s${index}`, String(index), weight)),
});

export const fanOutDefinition = (branches: number, weight: Weight): Definition => ({
  name: `bench parallel of ${branches} ${weight} steps`,
  variables,
  steps: [
    {
      id: 'fan',
      type: 'parallel',
      branches: Array.from({ length: branches }, (_, index) => ({ id: `b${index}`, steps: [call(`c${index}`, String(index), weight)] })),
    },
  ],
});

/** A loop of `variables.count` passes with one step; it collects nothing. */
export const loopDefinition = (name: string, step: StepJson): Definition => ({
  name: `bench loop of ${name}`,
  variables: { base: { type: 'string' }, count: { type: 'number', required: true } },
  constraints: { maxSteps: 30_000 },
  steps: [{ id: 'l', type: 'loop', over: 'range(variables.count)', maxIterations: 10_000, collect: 'null', steps: [step] }],
});
