/**
 * The compiled form of a definition: expressions parsed to trees, durations in milliseconds, defaults applied, aliases
 * resolved. Plain JSON without functions; crosses into workflow code, so this file holds types only. Format 1.
 */
import type { Json } from './value.js';

export type Root = 'variables' | 'outputs' | 'loop' | 'execution' | 'trigger' | 'event' | 'secrets' | 'local';
export type BinaryOperator = '==' | '!=' | '===' | '!==' | '<' | '<=' | '>' | '>=' | '+' | '-' | '*' | '/' | '%' | 'in';

/** One expression as a tree of the closed list of node kinds. `at` is the column (0-based) in its source text. */
export type Expr =
  | { readonly k: 'lit'; readonly v: Json }
  /** A dotted path. `root` null: a bare name (`name`), read as lambda parameter, then local, then variable. */
  | { readonly k: 'path'; readonly root: Root | null; readonly segments: readonly (string | number)[]; readonly at?: number }
  /** Property of a computed value: `f(x).y[0]`. */
  | { readonly k: 'get'; readonly of: Expr; readonly segments: readonly (string | number)[]; readonly at?: number }
  | { readonly k: 'unary'; readonly op: '!' | '-' | '+'; readonly of: Expr; readonly at?: number }
  | { readonly k: 'logic'; readonly op: '&&' | '||' | '??'; readonly left: Expr; readonly right: Expr }
  | { readonly k: 'binary'; readonly op: BinaryOperator; readonly left: Expr; readonly right: Expr; readonly at?: number }
  | { readonly k: 'cond'; readonly test: Expr; readonly yes: Expr; readonly no: Expr }
  | { readonly k: 'list'; readonly items: readonly Expr[] }
  | { readonly k: 'object'; readonly entries: readonly (readonly [string, Expr])[] }
  | { readonly k: 'call'; readonly fn: string; readonly args: readonly Expr[]; readonly at?: number }
  /** One-argument arrow, only as second argument of map, filter, find, any, all, sortBy, groupBy. */
  | { readonly k: 'lambda'; readonly param: string; readonly body: Expr };

/** A JSON value with expressions in it. */
export type Template =
  | { readonly k: 'lit'; readonly v: Json }
  /** One lone token: keeps the type of its expression. */
  | { readonly k: 'expr'; readonly e: Expr }
  /** Mixed text: parts are stringified and joined. */
  | { readonly k: 'text'; readonly parts: readonly (string | Expr)[] }
  | { readonly k: 'list'; readonly items: readonly Template[] }
  | { readonly k: 'object'; readonly entries: readonly (readonly [string, Template])[] };

export type VariableType = 'string' | 'number' | 'boolean' | 'array' | 'object';
export interface VariablePlan {
  readonly type: VariableType;
  readonly description?: string;
  readonly required: boolean;
  readonly default?: Json;
  readonly enum?: readonly Json[];
}

export interface RetryPlan {
  readonly maxAttempts: number;
  readonly initialIntervalMs: number;
  readonly backoff: number;
  readonly maxIntervalMs: number;
  /** Error codes, `*` or prefixes such as `http_5*`; absent: whatever the error marks retryable. */
  readonly on?: readonly string[];
}

interface StepBase {
  readonly id: string;
  readonly name?: string;
  readonly description?: string;
  readonly outputVariable?: string;
  readonly when?: Expr;
  readonly timeoutMs?: number;
  readonly retry?: RetryPlan;
  readonly onError: 'fail' | 'continue';
}

export type Block = readonly PlanStep[];

export interface AgentPromptPlan extends StepBase {
  readonly type: 'agent_prompt';
  readonly prompt: Template;
  readonly thread?: Template;
  readonly persona?: string;
  readonly model?: string;
  readonly models?: readonly string[];
  /** Normalised to JSON Schema, whichever form was written. */
  readonly outputSchema?: Json;
  readonly tools?: readonly string[];
  readonly maxTurns: number;
  readonly maxTokens?: number;
  readonly interrupt: boolean;
  /** Clamped to 1 000-900 000; covers the whole step. */
  readonly awaitTimeoutMs: number;
}
export interface ToolPlan extends StepBase {
  readonly type: 'tool';
  readonly tool: string;
  readonly arguments: Template;
  readonly onCrash?: 'repeat' | 'fail';
  /** May run inside a segment (durability §6): the tool says that it is short and may repeat, and the step does not forbid it. */
  readonly light?: true;
}
export interface BashPlan extends StepBase {
  readonly type: 'bash';
  /** Literal shell text and tokens; the n-th token reaches the shell as the quoted variable SIGNALBOX_TPL_<n>, n from 1. */
  readonly command: readonly (string | Expr)[];
  readonly cwd?: Template;
  readonly env?: Template;
  /** Clamped to 1 000-600 000. */
  readonly timeoutLimitMs: number;
  readonly allowFailure: boolean;
  readonly onCrash: 'repeat' | 'fail';
}
export interface NotifyPlan extends StepBase {
  readonly type: 'notify';
  readonly content: Template;
  readonly target: Template;
}
export interface ApprovalPlan extends StepBase {
  readonly type: 'approval';
  readonly prompt?: Template;
  readonly approvers?: Template;
  readonly quorum: number;
  readonly deadlineMs: number;
  readonly onTimeout: 'fail' | 'deny';
  readonly onDeny: 'cancel' | 'fail' | 'continue';
  readonly form?: Json;
  readonly notify?: Template;
  readonly remindMs: readonly number[];
  readonly escalate?: { readonly afterMs: number; readonly to: readonly string[] };
}
export interface ConditionalPlan extends StepBase {
  readonly type: 'conditional';
  readonly condition: Expr;
  readonly then: Block;
  readonly else?: Block;
}
export interface SwitchPlan extends StepBase {
  readonly type: 'switch';
  readonly cases: readonly { readonly when: Expr; readonly steps: Block }[];
  readonly default?: Block;
}
export interface LoopPlan extends StepBase {
  readonly type: 'loop';
  /** A text `over` is an expr; an inline array a template. Exactly one of over and while is there. */
  readonly over?: Template;
  readonly while?: Expr;
  readonly until?: Expr;
  readonly itemVar: string;
  readonly indexVar: string;
  readonly steps: Block;
  readonly concurrency: number;
  readonly maxIterations: number;
  readonly onItemError: 'fail' | 'continue';
  readonly collect?: Expr;
}
export interface ParallelPlan extends StepBase {
  readonly type: 'parallel';
  readonly branches: readonly { readonly id: string; readonly steps: Block }[];
  /** 'all', or how many successes complete it (`any` is 1). */
  readonly wait: 'all' | number;
  readonly onBranchError: 'fail' | 'continue';
}
export interface TryPlan extends StepBase {
  readonly type: 'try';
  readonly steps: Block;
  readonly catch: readonly { readonly codes: readonly string[]; readonly as?: string; readonly steps: Block }[];
  readonly finally?: Block;
}
export interface SetPlan extends StepBase {
  readonly type: 'set';
  readonly values: readonly (readonly [string, Template])[];
}
export interface WaitPlan extends StepBase {
  readonly type: 'wait';
  /** Exactly one of the two. A template duration evaluates to a number of ms or a duration text. */
  readonly duration?: Template;
  readonly until?: Template;
}
export interface WaitForEventPlan extends StepBase {
  readonly type: 'wait_for_event';
  readonly event: Template;
  readonly match?: Expr;
  /** The step's `timeout`; on expiry `event_timeout`. */
  readonly deadlineMs?: number;
}
export interface SubworkflowPlan extends StepBase {
  readonly type: 'subworkflow';
  readonly workflow: string;
  readonly version?: string;
  readonly input: Template;
  readonly await: boolean;
}
export interface StopPlan extends StepBase {
  readonly type: 'stop';
  readonly outcome: 'completed' | 'failed' | 'cancelled';
  readonly message?: Template;
  readonly output?: Template;
}

export type PlanStep =
  | AgentPromptPlan
  | ToolPlan
  | BashPlan
  | NotifyPlan
  | ApprovalPlan
  | ConditionalPlan
  | SwitchPlan
  | LoopPlan
  | ParallelPlan
  | TryPlan
  | SetPlan
  | WaitPlan
  | WaitForEventPlan
  | SubworkflowPlan
  | StopPlan;
export type StepType = PlanStep['type'];

export interface Plan {
  readonly planFormat: 1;
  /** `sha256:…` of the canonical definition this plan was compiled from. */
  readonly hash: string;
  readonly name: string;
  readonly description?: string;
  readonly version: string;
  readonly variables: { readonly [name: string]: VariablePlan };
  readonly steps: Block;
  readonly output?: Template;
  readonly constraints: {
    readonly allowSelfModification: boolean;
    readonly maxSteps: number;
    readonly maxDurationMs: number;
    readonly maxTokens?: number;
    readonly maxDepth: number;
  };
  readonly failureNotify: 'orchestrator' | 'none';
}
