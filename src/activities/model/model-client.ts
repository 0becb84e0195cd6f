import Anthropic from '@anthropic-ai/sdk';
import type { Json } from '../../definition/value.js';
import { StepFault } from '../../tools/step-fault.js';
import { toModelFault } from './model-fault.js';
import type { ModelBlock, ModelRequest } from './model-message.js';
import type { CallUsage } from './usage-meter.js';

export interface ModelReply {
  /** Text and tool calls in their order. */
  readonly blocks: readonly ModelBlock[];
  readonly stopReason: string;
  /** As the provider names it. */
  readonly model: string;
}
export interface ModelCallOptions {
  readonly model: string;
  /** The most that the reply may be, in tokens. */
  readonly maxTokens: number;
  readonly signal: AbortSignal;
  /** Tokens as they are announced; of a call that fails half-way, the last is what it has cost. */
  readonly onUsage?: (usage: CallUsage) => void;
  /** Each piece of the text as it arrives. */
  readonly onText?: (delta: string) => void;
}

export interface ModelClient {
  /**
   * One model call, streamed. Not repeated here, whatever happens.
   * @throws StepFault `agent_prompt_model_error`; the signal's reason when it aborts
   */
  call(request: ModelRequest, options: ModelCallOptions): Promise<ModelReply>;
}

/** @param options.baseUrl always given, as the SDK would read the environment */
export function createModelClient(options: { readonly apiKey: string; readonly baseUrl: string }): ModelClient {
  const client = new Anthropic({ apiKey: options.apiKey, baseURL: options.baseUrl, maxRetries: 0, logLevel: 'off', timeout: 900_000 });
  return { call: (request, call) => callModel(client, request, call) };
}

async function callModel(client: Anthropic, request: ModelRequest, options: ModelCallOptions): Promise<ModelReply> {
  const { signal, onText, onUsage, model } = options;
  const tokens = new CallTokens();
  let tooLong: StepFault | undefined;
  signal.throwIfAborted();
  try {
    const stream = client.messages.stream(toParams(request, options), { signal });
    stream.on('streamEvent', (event) => {
      if (tokens.note(event)) onUsage?.(tokens.usage);
      if (!tokens.isTooLong || tooLong !== undefined) return;
      tooLong = replyTooLong(model);
      stream.abort();
    });
    if (onText !== undefined) stream.on('text', (delta) => onText(delta));
    const message = await stream.finalMessage();
    return { blocks: message.content.flatMap(toBlock), stopReason: message.stop_reason ?? 'end_turn', model: message.model };
  } catch (error) {
    signal.throwIfAborted();
    throw tooLong ?? toModelFault(error, model);
  } finally {
    if (tokens.isAnnounced) onUsage?.(tokens.usage);
  }
}

/** More than any limit of tokens gives: whoever sends it does not keep to the protocol, and would go on for ever. */
const MAX_REPLY_CHARACTERS = 1_000_000;
const MAX_REPLY_BLOCKS = 10_000;

const replyTooLong = (model: string): StepFault =>
  new StepFault('agent_prompt_model_error', `Model ${model} sent more than ${MAX_REPLY_CHARACTERS} characters; the reply was cut off`, {
    details: { status: null, type: 'reply_too_long', model },
  });

function toBlock(block: Anthropic.ContentBlock): ModelBlock[] {
  if (block.type === 'text') return [{ type: 'text', text: block.text }];
  if (block.type === 'tool_use') return [{ type: 'tool_use', id: block.id, name: block.name, input: (block.input ?? {}) as Json }];
  return [];
}

/**
 * Caching on: tools and system end at a marked place, and so does the whole of what was said. Where the request before this one ended is
 * marked once more: a provider looks only some blocks back for what it has, and a turn of many calls is longer.
 */
function toParams({ system, tools, messages }: ModelRequest, { model, maxTokens }: ModelCallOptions): Anthropic.MessageStreamParams {
  const cache = { cache_control: { type: 'ephemeral' as const } };
  const users = messages.flatMap(({ role }, index) => (role === 'user' ? [index] : []));
  const marked = new Set([messages.length - 1, ...users.slice(-2)]);
  return {
    model,
    max_tokens: maxTokens,
    ...(system === '' ? {} : { system: [{ type: 'text' as const, text: system, ...cache }] }),
    ...(tools.length === 0 ? {} : { tools: tools as unknown as Anthropic.Tool[] }),
    messages: messages.map(({ role, content }, index) => ({
      role,
      content: content.map((block, at) => ({ ...acceptable(block), ...(marked.has(index) && at === content.length - 1 ? cache : {}) })),
    })),
  };
}

/** A call as a provider takes it back: models have sent names and inputs that their own protocol refuses. */
function acceptable(block: ModelBlock): ModelBlock {
  if (block.type !== 'tool_use') return block;
  const { input } = block;
  const isObject = typeof input === 'object' && input !== null && !Array.isArray(input);
  const name = block.name.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 64);
  return { ...block, name: name === '' ? '_' : name, input: isObject ? input : {} };
}

/** Tokens as announced; of a call that was cut off, the output is its characters / 4 (durability §14). */
class CallTokens {
  private input = 0;
  private cacheRead = 0;
  private output: number | undefined;
  private characters = 0;
  private blocks = 0;
  isAnnounced = false;

  /** @returns whether something was announced */
  note(event: Anthropic.MessageStreamEvent): boolean {
    if (event.type === 'message_start') {
      const { usage } = event.message;
      this.isAnnounced = true;
      this.input = usage.input_tokens + (usage.cache_creation_input_tokens ?? 0);
      this.cacheRead = usage.cache_read_input_tokens ?? 0;
      return true;
    }
    if (event.type === 'content_block_delta') {
      if (event.delta.type === 'text_delta') this.characters += event.delta.text.length;
      if (event.delta.type === 'input_json_delta') this.characters += event.delta.partial_json.length;
    }
    if (event.type === 'content_block_start') this.blocks += 1;
    if (event.type !== 'message_delta') return false;
    this.output = event.usage.output_tokens;
    return true;
  }

  get isTooLong(): boolean {
    return this.characters > MAX_REPLY_CHARACTERS || this.blocks > MAX_REPLY_BLOCKS;
  }

  get usage(): CallUsage {
    return {
      inputTokens: this.input,
      outputTokens: this.output ?? Math.ceil(this.characters / 4),
      cacheReadTokens: this.cacheRead,
      ...(this.output === undefined ? { estimated: true as const } : {}),
    };
  }
}
