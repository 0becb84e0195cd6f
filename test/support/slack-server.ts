/**
 * A Slack for tests: the Web API as far as we use it (form-encoded calls, `ok: false` errors, rate limits, stalls), with messages that can be
 * looked at and clicked, and the limits of Block Kit enforced as Slack does. Signed requests to us are made by `signed` and `clickOn`.
 */
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Fields = { readonly [field: string]: unknown };
export interface SlackCall {
  readonly method: string;
  /** Decoded; `blocks` and `view` parsed. */
  readonly args: Fields;
  readonly token: string;
  readonly at: number;
}
export interface SlackMessage {
  readonly channel: string;
  readonly ts: string;
  readonly text: string;
  readonly blocks: readonly Fields[];
  /** How often it was rewritten. */
  readonly edits: number;
}
export type SlackScript =
  | { readonly error: string }
  | { readonly retryAfter: number }
  | { readonly status: number }
  | { readonly stallMs: number }
  | 'drop';

export class SlackServer {
  readonly calls: SlackCall[] = [];
  /** What was sent to response URLs. */
  readonly responses: Fields[] = [];
  private readonly posted = new Map<string, SlackMessage>();
  private readonly scripts = new Map<string, SlackScript[]>();
  private readonly waiters = new Set<() => void>();
  private nth = 0;
  private constructor(
    private readonly server: ReturnType<typeof createServer>,
    readonly origin: string,
  ) {}

  static async start(): Promise<SlackServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const slack = new SlackServer(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on('request', (req, res) => void slack.handle(req, res));
    return slack;
  }

  /** For SLACK_API_URL. */
  get apiUrl(): string {
    return `${this.origin}/api/`;
  }

  /** Where a click says that it wants its answer. */
  get responseUrl(): string {
    return `${this.origin}/respond`;
  }

  /** The next calls of this method go so, one each; then all is well again. */
  next(method: string, ...scripts: readonly SlackScript[]): void {
    this.scripts.set(method, [...(this.scripts.get(method) ?? []), ...scripts]);
  }

  messages(channel?: string): readonly SlackMessage[] {
    return [...this.posted.values()].filter((message) => channel === undefined || message.channel === channel);
  }

  callsOf(method: string): readonly SlackCall[] {
    return this.calls.filter((call) => call.method === method);
  }

  /** Resolves with what `look` finds, as soon as it finds it; asked again after each call that was answered. */
  until<T>(what: string, look: () => T | undefined, timeoutMs = 20_000): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        this.waiters.delete(again);
        settle();
      };
      const again = (): void => {
        const found = look();
        if (found !== undefined) end(() => resolve(found));
      };
      const timer = setTimeout(
        () => end(() => reject(new Error(`waited for ${what}; calls: ${this.calls.map(({ method }) => method).join(', ')}`))),
        timeoutMs,
      );
      this.waiters.add(again);
      again();
    });
  }

  untilMessages(channel: string, count = 1): Promise<readonly SlackMessage[]> {
    return this.until(`${count} messages in ${channel}`, () => {
      const found = this.messages(channel);
      return found.length >= count ? found : undefined;
    });
  }

  clear(): void {
    this.calls.length = 0;
    this.responses.length = 0;
    this.posted.clear();
    this.scripts.clear();
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  private async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const path = new URL(req.url ?? '/', this.origin).pathname;
    if (path === '/respond') {
      this.responses.push(JSON.parse(body) as Fields);
      res.end('ok');
      return this.tell();
    }
    const call = { method: path.replace('/api/', ''), args: argsOf(body), token: req.headers.authorization ?? '', at: Date.now() };
    this.calls.push(call);
    const script = this.scripts.get(call.method)?.shift();
    if (script === 'drop') return void req.socket.destroy();
    if (typeof script === 'object' && 'stallMs' in script) await new Promise((resolve) => setTimeout(resolve, script.stallMs).unref());
    if (typeof script === 'object' && 'status' in script) return void res.writeHead(script.status).end('no');
    if (typeof script === 'object' && 'retryAfter' in script)
      return void res.writeHead(429, { 'retry-after': String(script.retryAfter) }).end(JSON.stringify({ ok: false, error: 'ratelimited' }));
    const error = typeof script === 'object' && 'error' in script ? script.error : (faultOf(call.args) ?? this.missing(call));
    const answer = error === undefined ? { ok: true, ...this.perform(call) } : { ok: false, error };
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    this.tell();
  }

  private missing({ method, args }: SlackCall): string | undefined {
    return method === 'chat.update' && !this.posted.has(`${textIn(args, 'channel')}/${textIn(args, 'ts')}`)
      ? 'message_not_found'
      : undefined;
  }

  private perform({ method, args }: SlackCall): object {
    const shown = { text: textIn(args, 'text'), blocks: (args['blocks'] ?? []) as readonly Fields[] };
    if (method === 'chat.postMessage') {
      // A person's id opens the direct message with them, which has an id of its own.
      const channel = textIn(args, 'channel').replace(/^U/, 'D');
      const ts = `1700000000.${String((this.nth += 1)).padStart(6, '0')}`;
      this.posted.set(`${channel}/${ts}`, { channel, ts, ...shown, edits: 0 });
      return { channel, ts };
    }
    if (method === 'chat.update') {
      const key = `${textIn(args, 'channel')}/${textIn(args, 'ts')}`;
      const before = this.posted.get(key);
      if (before !== undefined) this.posted.set(key, { ...before, ...shown, edits: before.edits + 1 });
      return { channel: args['channel'], ts: args['ts'] };
    }
    return {};
  }

  private tell(): void {
    for (const waiter of this.waiters) waiter();
  }
}

function argsOf(body: string): Fields {
  const entries = [...new URLSearchParams(body)].map(
    ([name, value]) => [name, name === 'blocks' || name === 'view' ? (JSON.parse(value) as unknown) : value] as const,
  );
  return Object.fromEntries(entries);
}

const textIn = (fields: Fields, name: string): string => (typeof fields[name] === 'string' ? fields[name] : '');
const lengthOf = (value: unknown): number => (value as { readonly text?: string } | undefined)?.text?.length ?? 0;

/** What Slack refuses for its size. */
function faultOf(args: Fields): string | undefined {
  const view = args['view'] as Fields | undefined;
  const blocks = (args['blocks'] ?? view?.['blocks'] ?? []) as readonly Fields[];
  const isFine =
    blocks.length <= (view === undefined ? 50 : 100) &&
    lengthOf(view?.['title']) <= 24 &&
    textIn(view ?? {}, 'private_metadata').length <= 3_000 &&
    blocks.every(isFineBlock);
  if (!isFine) return 'invalid_blocks';
  return textIn(args, 'text').length > 40_000 ? 'msg_too_long' : undefined;
}

function isFineBlock(block: Fields): boolean {
  const elements = (block['elements'] ?? []) as readonly Fields[];
  const element = block['element'] as { readonly options?: readonly Fields[] } | undefined;
  switch (block['type']) {
    case 'section':
      return lengthOf(block['text']) >= 1 && lengthOf(block['text']) <= 3_000;
    case 'context':
      return elements.length <= 10 && elements.every((one) => textIn(one, 'text').length <= 3_000);
    case 'actions':
      return elements.every((one) => lengthOf(one['text']) <= 75 && textIn(one, 'value').length <= 2_000);
    case 'input':
      return (
        lengthOf(block['label']) >= 1 &&
        lengthOf(block['label']) <= 2_000 &&
        (element?.options ?? [{ text: { text: 'x' }, value: 'x' }]).every(
          (option) => lengthOf(option['text']) >= 1 && lengthOf(option['text']) <= 75 && textIn(option, 'value').length <= 150,
        )
      );
    default:
      return false;
  }
}

export interface SignedRequest {
  readonly headers: { readonly [name: string]: string };
  readonly body: string;
}

/** A request as Slack signs it. `at`: seconds. */
export function signed(secret: string, payload: object, at = Math.floor(Date.now() / 1000)): SignedRequest {
  const body = `payload=${encodeURIComponent(JSON.stringify(payload))}`;
  return {
    body,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': String(at),
      'x-slack-signature': `v0=${createHmac('sha256', secret).update(`v0:${at}:${body}`).digest('hex')}`,
    },
  };
}

/** What Slack says when this user clicks that button of the message. @throws when the message has no such button */
export function clickOn(message: SlackMessage, button: 'Approve' | 'Deny', user: string, extra: Fields = {}): object {
  const elements = message.blocks.flatMap((block) => (block['elements'] ?? []) as readonly Fields[]);
  const found = elements.find((element) => (element['text'] as Fields | undefined)?.['text'] === button);
  if (found === undefined) throw new Error(`The message has no button ${button}: ${JSON.stringify(message.blocks)}`);
  return {
    type: 'block_actions',
    user: { id: user, username: `name-of-${user}` },
    trigger_id: `trigger-${user}`,
    channel: { id: message.channel },
    container: { type: 'message', channel_id: message.channel, message_ts: message.ts },
    message: { ts: message.ts },
    actions: [{ type: 'button', action_id: found['action_id'], value: found['value'] }],
    ...extra,
  };
}

/** Whether the message still has buttons. */
export const hasButtons = (message: SlackMessage): boolean => message.blocks.some(({ type }) => type === 'actions');

/** Everything that the message shows, as one text. */
export const shownBy = (message: SlackMessage): string => JSON.stringify(message.blocks);
