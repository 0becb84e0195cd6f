/** What a step's work gets from its templates: one rendering for activities, dry run and segments. Pure. */
import {
  type AgentPromptPlan,
  type ApprovalPlan,
  type BashPlan,
  evaluateText,
  type Expr,
  type Mode,
  type NotifyPlan,
  objectValue,
  type PlanStep,
  render,
  type ScopeReader,
  type SubworkflowPlan,
  type Template,
  type ToolPlan,
  type Value,
} from '../definition/runtime.js';

export type LeafPlan = AgentPromptPlan | ToolPlan | BashPlan | NotifyPlan | ApprovalPlan | SubworkflowPlan;

/** The expressions of a step that its own activity evaluates; none for the types that the engine runs itself. */
export function inputSources(step: PlanStep): readonly (Expr | Template)[] {
  switch (step.type) {
    case 'agent_prompt':
      return present(step.prompt, step.thread);
    case 'tool':
      return [step.arguments];
    case 'bash':
      return [...step.command.filter((part) => typeof part !== 'string'), ...present(step.cwd, step.env)];
    case 'notify':
      return [step.content, step.target];
    case 'approval':
      return present(step.prompt, step.approvers, step.notify);
    case 'subworkflow':
      return [step.input];
    case 'conditional':
    case 'switch':
    case 'loop':
    case 'parallel':
    case 'try':
    case 'set':
    case 'wait':
    case 'wait_for_event':
    case 'stop':
      return [];
  }
}

const present = (...templates: readonly (Template | undefined)[]): Template[] => templates.filter((one) => one !== undefined);

/**
 * A step's templates, filled: one object, with the plan's names as keys; absent templates are absent keys. Pure.
 * - tool `{ tool, arguments }` · notify `{ content, target }` · approval `{ prompt?, approvers?, notify? }` · agent_prompt `{ prompt, thread? }`
 * - subworkflow `{ workflow, version?, input }` · bash `{ command, variables, cwd?, env? }`: tokens stand in `command` as `"$SIGNALBOX_TPL_n"`, their texts in `variables`
 * @throws as evaluate: ExpressionError; NeedsActivity in mode `host`; NeedsValues in mode `full` (load it, render again)
 */
export function renderStepInput(step: PlanStep, reader: ScopeReader, mode: Mode = 'full'): Value {
  return objectValue(
    entriesOf(
      step,
      (template) => render(template, reader, mode),
      (expr) => evaluateText(expr, reader, mode),
    ),
  );
}

type Entry = readonly [string, Value];

function entriesOf(step: PlanStep, fill: (template: Template) => Value, text: (expr: Expr) => string): Entry[] {
  const optional = (name: string, template: Template | undefined): Entry[] => (template === undefined ? [] : [[name, fill(template)]]);
  switch (step.type) {
    case 'agent_prompt':
      return [['prompt', fill(step.prompt)], ...optional('thread', step.thread)];
    case 'tool':
      return [
        ['tool', { v: step.tool }],
        ['arguments', fill(step.arguments)],
      ];
    case 'bash':
      return [...commandEntries(step.command, text), ...optional('cwd', step.cwd), ...optional('env', step.env)];
    case 'notify':
      return [
        ['content', fill(step.content)],
        ['target', fill(step.target)],
      ];
    case 'approval':
      return [...optional('prompt', step.prompt), ...optional('approvers', step.approvers), ...optional('notify', step.notify)];
    case 'subworkflow':
      return [
        ['workflow', { v: step.workflow }],
        ...(step.version === undefined ? [] : [['version', { v: step.version }] as const]),
        ['input', fill(step.input)],
      ];
    case 'conditional':
    case 'switch':
    case 'loop':
    case 'parallel':
    case 'try':
    case 'set':
    case 'wait':
    case 'wait_for_event':
    case 'stop':
      return [];
  }
}

function commandEntries(command: BashPlan['command'], text: (expr: Expr) => string): Entry[] {
  const variables: Entry[] = [];
  const parts = command.map((part) => {
    if (typeof part === 'string') return part;
    const name = `SIGNALBOX_TPL_${variables.length + 1}`;
    variables.push([name, { v: text(part) }]);
    return `"$${name}"`;
  });
  return [
    ['command', { v: parts.join('') }],
    ['variables', objectValue(variables)],
  ];
}
