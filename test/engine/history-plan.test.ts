import type { AgentPromptPlan } from '../../src/definition/plan.js';
import { collectReads } from '../../src/definition/runtime.js';
import { historyPlan } from '../../src/engine/history-plan.js';
import { inputSources } from '../../src/engine/step-input.js';
import { stepsById } from '../../src/engine/plan-index.js';
import { planOf } from '../support/plans.js';

const ask = (id: string, prompt: unknown = `Say zebra to {{ variables.${id} }} and {{ get(outputs, "x") }}`) => ({
  id,
  type: 'agent_prompt',
  prompt,
  outputSchema: { answer: { type: 'string' } },
});
const steps = [
  ask('plain', 'zebra'),
  ask('lone', '{{ variables.whole }}'),
  { id: 'say', type: 'set', values: { kept: 'a text that is no prompt', like: { type: 'agent_prompt', prompt: 'data' } } },
  { id: 'c', type: 'conditional', condition: 'true', then: [ask('c1')], else: [ask('c2')] },
  { id: 's', type: 'switch', cases: [{ when: 'true', steps: [ask('s1')] }], default: [ask('s2')] },
  { id: 'l', type: 'loop', over: [1], steps: [ask('l1')] },
  { id: 'p', type: 'parallel', branches: [{ id: 'b', steps: [ask('p1')] }] },
  { id: 't', type: 'try', steps: [ask('t1')], catch: [{ codes: ['*'], steps: [ask('t2')] }], finally: [ask('t3')] },
];
const plan = planOf({ name: 'Prompts', variables: { whole: { type: 'string' } }, steps });

describe('a plan as the history keeps it', () => {
  it('says nothing of what prompts say, wherever they stand', () => {
    expect(JSON.stringify(plan)).toContain('zebra');
    expect(JSON.stringify(historyPlan(plan))).not.toContain('zebra');
  });

  it('reads what the whole plan reads, and is the same but for the prompts', () => {
    const kept = stepsById(historyPlan(plan));
    for (const [id, step] of stepsById(plan)) {
      const read = inputSources(step).flatMap((source) => collectReads(source));
      expect([id, inputSources(kept.get(id) ?? step).flatMap((source) => collectReads(source))]).toEqual([id, read]);
      if (step.type !== 'agent_prompt') continue;
      const { prompt: _prompt, ...rest } = step;
      const { prompt: _blank, ...keptRest } = kept.get(id) as AgentPromptPlan;
      expect(keptRest).toEqual(rest);
    }
    expect(kept.get('say')).toEqual(stepsById(plan).get('say'));
    expect(historyPlan(plan).hash).toBe(plan.hash);
  });
});
