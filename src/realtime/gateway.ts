/** The WebSocket gateway: who may connect, what they may follow, and the life of their sockets. Any number of gateways may run. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { AppError, notFound } from '../errors.js';
import { authorize } from '../operations/authorize.js';
import { audienceOf } from '../operations/cast-vote.js';
import { decideApproval } from '../operations/decide-approval.js';
import type { OperationDeps } from '../operations/deps.js';
import { maySee } from '../operations/gate-audience.js';
import type { Principal } from '../operations/principal.js';
import { listApprovals } from '../operations/read-approvals.js';
import { listExecutions, ownExecution } from '../operations/read-executions.js';
import { readExecutionSnapshot, readSessionSnapshot } from '../operations/read-live.js';
import { isAllowed } from '../operations/role-matrix.js';
import { sendMessage } from '../operations/send-message.js';
import { ownSession } from '../operations/sessions.js';
import { stopSession } from '../operations/stop-session.js';
import { redeemTicket, type Caller } from '../operations/ws-ticket.js';
import { ChannelOutlet } from './channel-outlet.js';
import { isRowId, parseChannel, type ClientFrame, type StreamChannel } from './client-frames.js';
import { Connection, type ConnectionHost, type OpenSubscription } from './connection.js';
import type { Feeds } from './feeds.js';
import { answerHandshake, handshakeOf, isForeign, type Handshake } from './handshake.js';
import { ListSubscription } from './list-subscription.js';
import type { ListFollower, ListWatch } from './list-watch.js';
import type { ListChange } from './list-change.js';
import type { RightsWatch } from './rights-watch.js';
import { Subscription, type Snapshot } from './subscription.js';

export interface Count {
  inc(): void;
  dec(): void;
}
/** What is counted, for /metrics. */
export interface GatewayMetrics {
  readonly sockets: Count;
  readonly subscriptions: Count;
  readonly lagged: Pick<Count, 'inc'>;
}

export interface GatewayOptions {
  readonly operations: OperationDeps;
  readonly feeds: Feeds;
  readonly lists: ListWatch;
  readonly rights: RightsWatch;
  /** Who shows a key or a browser's login in these headers, null when nobody does. */
  readonly callerOf: (headers: IncomingHttpHeaders) => Promise<Caller | null>;
  /** Takes one call from the key's rate. @returns 0, or after how many ms there is one */
  readonly takeCall: (keyId: string) => number;
  readonly metrics: GatewayMetrics;
  readonly version: string;
  readonly log: { debug(fields: object, message: string): void; error(fields: object, message: string): void };
  readonly heartbeatMs?: number;
  readonly maxWaitingBytes?: number;
  readonly maxSocketsPerKey?: number;
  readonly maxBehind?: number;
  readonly patienceMs?: number;
}

const HEARTBEAT_MS = 15_000;
/** Frames may be as large as request bodies. */
const MAX_FRAME_BYTES = 1024 * 1024;
const MAX_SOCKETS_PER_KEY = 500;
/** A peer that has not answered for so many heartbeats is gone; a slow one's answer waits behind what it has yet to read. */
const DEAD_AFTER_BEATS = 2.5;
const STALLED_AFTER_BEATS = 6;
const CLOSE_GRACE_MS = 2_000;
const GOING_AWAY = 1001;
/** Close codes of our own: the HTTP status behind 4. */
const UNAUTHENTICATED = 4401;
const FORBIDDEN = 4403;
const LIST_ITEMS = 50;
const APPROVAL_ITEMS = 200;

export class Gateway {
  private readonly server = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME_BYTES, perMessageDeflate: false });
  private readonly connections = new Set<Connection>();
  private readonly beating: NodeJS.Timeout;
  /** Snapshots that are being read. */
  private readonly reading = new Map<string, Promise<Snapshot>>();
  private isClosing = false;

  constructor(private readonly options: GatewayOptions) {
    this.beating = setInterval(() => this.beat(), this.heartbeatMs).unref();
  }

  /** For the `upgrade` event of the HTTP server. */
  handleUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    this.admit(req).then(
      (caller) => this.server.handleUpgrade(req, socket, head, (peer) => this.open(peer, caller)),
      (error: unknown) => {
        if (!(error instanceof AppError)) this.options.log.error({ error }, 'a handshake could not be answered');
        answerHandshake(socket, error);
      },
    );
  }

  /** Tells every socket to come back elsewhere, and cuts those that do not go. */
  async close(): Promise<void> {
    this.isClosing = true;
    clearInterval(this.beating);
    for (const connection of this.connections) connection.end(GOING_AWAY, 'the gateway stops');
    const deadline = Date.now() + CLOSE_GRACE_MS;
    while (this.connections.size > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const { socket } of this.connections) socket.terminate();
    this.server.close();
  }

  private get heartbeatMs(): number {
    return this.options.heartbeatMs ?? HEARTBEAT_MS;
  }

  /** @throws AppError that the handshake answers with */
  private async admit(req: IncomingMessage): Promise<Caller> {
    const handshake = handshakeOf(req);
    if (handshake.path !== '/ws') throw notFound('socket', handshake.path);
    if (this.isClosing) throw new AppError('unavailable', 'The gateway stops', { part: 'postgres', retryAfterSeconds: 1 });
    if (isForeign(req)) throw new AppError('forbidden', 'A page of another origin may not connect', {});
    const caller = await this.callerOf(req, handshake);
    if (caller === null) throw new AppError('unauthenticated', 'Show ?ticket= of POST /api/ws-ticket, a bearer key or a login', {});
    authorize(caller.principal, 'read');
    this.countSocket(caller.principal);
    return caller;
  }

  /** A key in the header goes first, then a ticket; a browser sends its cookie with either. */
  private callerOf({ headers }: IncomingMessage, { ticket }: Handshake): Promise<Caller | null> {
    const isByTicket = ticket !== undefined && headers.authorization === undefined;
    return isByTicket ? redeemTicket(this.options.operations, ticket) : this.options.callerOf(headers);
  }

  private countSocket({ keyId, userId }: Principal): void {
    const waitMs = this.options.takeCall(keyId ?? userId);
    if (waitMs > 0) throw new AppError('rate_limited', 'Too many requests with this key', { retryAfterSeconds: Math.ceil(waitMs / 1_000) });
    let open = 0;
    for (const { principal } of this.connections) if (principal.keyId === keyId) open += 1;
    if (open >= (this.options.maxSocketsPerKey ?? MAX_SOCKETS_PER_KEY))
      throw new AppError('rate_limited', 'Too many sockets with this key', { retryAfterSeconds: 60 });
  }

  private open(socket: WebSocket, { principal, login }: Caller): void {
    const { metrics, rights, version, maxWaitingBytes } = this.options;
    const connection = new Connection(socket, principal, this.host, maxWaitingBytes);
    this.connections.add(connection);
    metrics.sockets.inc();
    const { keyId } = principal;
    const unwatch = rights.watch({ keyId, loginHash: login?.hash, rightsAre: (now) => this.rightsAre(connection, now) });
    // A frame that is too large, or no UTF-8: ws has answered with the close code.
    socket.on('error', (error) => this.options.log.debug({ error: error.message }, 'a socket failed'));
    socket.once('close', () => {
      this.connections.delete(connection);
      unwatch();
      metrics.sockets.dec();
    });
    connection.send({ type: 'hello', serverTime: new Date().toISOString(), version, heartbeatMs: this.heartbeatMs });
    if (this.isClosing) connection.end(GOING_AWAY, 'the gateway stops');
  }

  private beat(): void {
    const now = Date.now();
    for (const { socket, outbox, seenAtMs } of this.connections) {
      const beats = outbox.isFull ? STALLED_AFTER_BEATS : DEAD_AFTER_BEATS;
      if (now - seenAtMs > beats * this.heartbeatMs) socket.terminate();
      else socket.ping();
    }
  }

  private rightsAre(connection: Connection, principal: Principal | undefined): void {
    if (principal === undefined)
      this.cut(connection, UNAUTHENTICATED, 'unauthenticated', 'The key is revoked or has expired, or the login has ended');
    else if (!isAllowed(principal, 'read')) this.cut(connection, FORBIDDEN, 'forbidden', 'The key may no longer read');
    else connection.principal = principal;
  }

  private cut(connection: Connection, code: number, name: string, message: string): void {
    connection.send({ type: 'error', code: name, message });
    connection.end(code, name);
  }

  private readonly host: ConnectionHost = {
    subscribe: (connection, frame) => this.subscribe(connection, frame),
    act: (principal, frame) => this.act(principal, frame),
    subscriptionOpened: () => this.options.metrics.subscriptions.inc(),
    subscriptionClosed: () => this.options.metrics.subscriptions.dec(),
    onFault: (error, what) => this.options.log.error({ error }, what),
  };

  private async act(principal: Principal, frame: Extract<ClientFrame, { type: 'send' | 'stop' | 'decide' }>): Promise<object> {
    const waitMs = this.options.takeCall(principal.keyId ?? principal.userId);
    if (waitMs > 0) throw new AppError('rate_limited', 'Too many requests with this key', { retryAfterSeconds: Math.ceil(waitMs / 1_000) });
    const { operations } = this.options;
    switch (frame.type) {
      case 'send': {
        const { sessionId: id, content, clientMessageId } = frame;
        return sendMessage(operations, principal, { id, content, clientMessageId });
      }
      case 'stop':
        return stopSession(operations, principal, { id: frame.sessionId, ...(frame.turnId == null ? {} : { turnId: frame.turnId }) });
      case 'decide': {
        const { approvalId: id, decision, reason, answer } = frame;
        const given = { ...(reason == null ? {} : { reason }), ...(answer == null ? {} : { answer }) };
        return decideApproval(operations, principal, { id, decision, via: 'web', ...given });
      }
    }
  }

  private async subscribe(connection: Connection, frame: Extract<ClientFrame, { type: 'subscribe' }>): Promise<OpenSubscription> {
    const channel = parseChannel(frame.channel);
    if (channel === undefined) throw new AppError('bad_request', 'Channels are session:<id>, execution:<id>, executions and approvals', {});
    authorize(connection.principal, 'read');
    const outlet = new ChannelOutlet(connection, frame, this.options.metrics);
    if (channel.kind === 'executions' || channel.kind === 'approvals') return this.followList(connection, frame, channel.kind, outlet);
    const { operations } = this.options;
    if (!isRowId(channel.id)) throw notFound(channel.kind, channel.id);
    if (channel.kind === 'session') await ownSession(operations, connection.principal, channel.id);
    else await ownExecution(operations, connection.principal, channel.id);
    return this.followStream(connection, frame, channel, outlet);
  }

  private followStream(
    connection: Connection,
    { id, after, texts }: Extract<ClientFrame, { type: 'subscribe' }>,
    channel: StreamChannel,
    outlet: ChannelOutlet,
  ): OpenSubscription {
    const { feeds, maxBehind, patienceMs } = this.options;
    const subscription = new Subscription({
      feed: feeds.open(channel.id),
      outlet,
      readSnapshot: () => this.readSnapshot(connection.principal, channel),
      onError: this.onReadError,
      ...(after == null ? {} : { after }),
      ...(texts == null ? {} : { texts }),
      ...(maxBehind === undefined ? {} : { maxBehind }),
      ...(patienceMs === undefined ? {} : { patienceMs }),
    });
    subscription.run().catch((error: unknown) => connection.endSubscription(id, error));
    return {
      id,
      close: () => {
        subscription.close();
        feeds.release(channel.id);
      },
    };
  }

  /** Who comes while it is being read gets the same one: what has happened since follows it anyway. */
  private readSnapshot(principal: Principal, { kind, id }: StreamChannel): Promise<Snapshot> {
    const key = `${kind}:${id} ${principal.userId}`;
    const known = this.reading.get(key);
    if (known !== undefined) return known;
    const read = kind === 'session' ? readSessionSnapshot : readExecutionSnapshot;
    const reading: Promise<Snapshot> = read(this.options.operations, principal, id).finally(() => this.reading.delete(key));
    this.reading.set(key, reading);
    return reading;
  }

  private followList(
    connection: Connection,
    frame: Extract<ClientFrame, { type: 'subscribe' }>,
    kind: 'executions' | 'approvals',
    outlet: ChannelOutlet,
  ): OpenSubscription {
    const { operations, lists } = this.options;
    const follower = (change: (change: ListChange) => void): ListFollower =>
      kind === 'executions'
        ? { kind, ownerId: connection.principal.userId, change }
        : { kind, change, maySee: (gate, groups) => maySee(audienceOf(gate, groups), connection.principal) };
    const subscription = new ListSubscription({
      watch: lists,
      outlet,
      follower,
      hasCursor: frame.after != null,
      readItems: () =>
        kind === 'executions'
          ? listExecutions(operations, connection.principal, { limit: LIST_ITEMS })
          : listApprovals(operations, connection.principal, { status: 'pending', limit: APPROVAL_ITEMS }),
      onError: this.onReadError,
    });
    subscription.run().catch((error: unknown) => connection.endSubscription(frame.id, error));
    return { id: frame.id, close: () => subscription.close() };
  }

  private readonly onReadError = (error: unknown): void =>
    this.options.log.debug({ error }, 'a stream could not be read; it is tried again');
}
