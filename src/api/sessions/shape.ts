/** Session and Message as api.md says. */
import { z } from 'zod';
import { component, Instant, JsonOut } from '../shapes.js';
import { StepShape } from '../executions/shape.js';

export const SESSION_KINDS = ['orchestrator', 'chat', 'execution'] as const;

export const SessionShape = component(
  'Session',
  z.object({
    id: z.string(),
    kind: z.enum(SESSION_KINDS),
    title: z.string(),
    executionId: z.string().nullable().describe('The execution that it was made for'),
    createdAt: Instant,
    updatedAt: Instant,
    agent: z
      .object({ isDemo: z.boolean().describe('No model is configured: the built-in demo model answers') })
      .optional()
      .describe('Who answers; where one session is asked for'),
  }),
);

const MessagePart = z
  .object({ type: z.enum(['text', 'tool-call', 'error', 'finish']) })
  .catchall(JsonOut)
  .describe(
    'text { text } · tool-call { callId, toolName, args, status, result, error } · error { code, message } · finish { reason }, last',
  );

const TurnHead = z.object({
  id: z.string(),
  status: z.enum(['streaming', 'canceled', 'end_turn', 'error']),
  attempt: z.number().int().describe('Repetitions of one model call count on'),
  model: z.string().nullable(),
  usage: z
    .object({
      inputTokens: z.number().int(),
      outputTokens: z.number().int(),
      cacheReadTokens: z.number().int(),
      estimated: z.boolean().optional().describe('The call was cut off'),
    })
    .nullable(),
});

export const MessageShape = component(
  'Message',
  z.object({
    id: z.string(),
    sessionId: z.string(),
    seq: z.number().int().describe('Its place in the session; grows, with gaps'),
    role: z.enum(['user', 'assistant', 'system']),
    author: z.string(),
    content: z.string().describe('The text parts joined'),
    parts: z.array(MessagePart),
    thread: z.string(),
    turn: TurnHead.nullable().describe('Of a reply of a model: one model call'),
    executionId: z.string().nullable(),
    stepId: z.string().nullable(),
    iterationPath: z.string().nullable(),
    attempt: z.number().int().nullable().describe("The step's"),
    createdAt: Instant,
  }),
);

export const FeedItemShape = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('message'), message: MessageShape }),
  z.object({ kind: z.literal('step'), executionId: z.string(), step: StepShape }),
]);
