import Anthropic from '@anthropic-ai/sdk';
import { StepFault } from '../../tools/step-fault.js';
import { toModelFault } from './model-fault.js';
import type { UsageMeter } from './usage-meter.js';

export interface TurnRequest {
  readonly model: string;
  readonly system?: string;
  readonly messages: readonly { readonly role: 'user' | 'assistant'; readonly content: string }[];
  readonly maxTokens: number;
}
export interface TurnReply {
  readonly text: string;
  readonly stopReason: string;
  /** As the provider names it. */
  readonly model: string;
}
export interface TurnOptions {
  readonly signal: AbortSignal;
  /** Gets the tokens of the call, also of one that fails half-way. */
  readonly meter: UsageMeter;
  /** Each piece of the text as it arrives. */
  readonly onText?: (delta: string) => void;
}

export interface ModelClient {
  /**
   * One model turn, streamed.
   * @throws StepFault `agent_prompt_model_error`, `agent_prompt_empty_response`; the signal's reason when it aborts
   */
  turn(request: TurnRequest, options: TurnOptions): Promise<TurnReply>;
}

/** @param options.baseUrl always given, as the SDK would read the environment */
export function createModelClient(options: { readonly apiKey: string; readonly baseUrl: string }): ModelClient {
  const client = new Anthropic({ apiKey: options.apiKey, baseURL: options.baseUrl, maxRetries: 0, logLevel: 'off', timeout: 900_000 });
  return { turn: (request, turn) => runTurn(client, request, turn) };
}

async function runTurn(client: Anthropic, request: TurnRequest, { signal, meter, onText }: TurnOptions): Promise<TurnReply> {
  const call = new CallTokens();
  try {
    const stream = client.messages.stream(toParams(request), { signal });
    stream.on('streamEvent', (event) => call.note(event));
    if (onText !== undefined) stream.on('text', (delta) => onText(delta));
    const message = await stream.finalMessage();
    const text = message.content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('');
    return checked({ text, stopReason: message.stop_reason ?? 'end_turn', model: message.model }, request.model);
  } catch (error) {
    signal.throwIfAborted();
    throw toModelFault(error, request.model);
  } finally {
    if (call.isAnnounced) meter.add(request.model, call.tokens);
  }
}

function checked(reply: TurnReply, model: string): TurnReply {
  if (reply.stopReason === 'refusal') {
    throw new StepFault('agent_prompt_model_error', `Model ${model} refused to answer`, {
      details: { status: null, type: 'refusal', model },
    });
  }
  if (reply.text.trim() !== '') return reply;
  throw new StepFault('agent_prompt_empty_response', `Model ${model} answered without text (${reply.stopReason})`, {
    retryable: true,
    details: { model, stopReason: reply.stopReason },
  });
}

/** Caching on: what repeats from turn to turn ends at the two marked places. */
function toParams(request: TurnRequest): Anthropic.MessageStreamParams {
  const cache = { cache_control: { type: 'ephemeral' as const } };
  const last = request.messages.length - 1;
  return {
    model: request.model,
    max_tokens: request.maxTokens,
    ...(request.system === undefined ? {} : { system: [{ type: 'text' as const, text: request.system, ...cache }] }),
    messages: request.messages.map(({ role, content }, index) => ({
      role,
      content: [{ type: 'text' as const, text: content, ...(index === last ? cache : {}) }],
    })),
  };
}

/** Tokens as announced; of a call that was cut off, the output is its characters / 4 (durability §14). */
class CallTokens {
  private input = 0;
  private cacheRead = 0;
  private output: number | undefined;
  private characters = 0;
  isAnnounced = false;

  note(event: Anthropic.MessageStreamEvent): void {
    if (event.type === 'message_start') {
      const { usage } = event.message;
      this.isAnnounced = true;
      this.input = usage.input_tokens + (usage.cache_creation_input_tokens ?? 0);
      this.cacheRead = usage.cache_read_input_tokens ?? 0;
    } else if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') this.characters += event.delta.text.length;
    else if (event.type === 'message_delta') this.output = event.usage.output_tokens;
  }

  get tokens(): { readonly input: number; readonly output: number; readonly cacheRead: number } {
    return { input: this.input, output: this.output ?? Math.ceil(this.characters / 4), cacheRead: this.cacheRead };
  }
}
