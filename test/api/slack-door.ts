/** `POST /slack/interactions` over real HTTP, real rows, a courier, and a Slack of the test's own. Temporal only takes notes. */
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { createMessagePoster } from '../../src/activities/session-messages.js';
import { createApp } from '../../src/api/app.js';
import type { ApiDependencies } from '../../src/api/dependencies.js';
import { createApiMetrics } from '../../src/api/metrics.js';
import { slackRoutes } from '../../src/api/slack/routes.js';
import type { Principal } from '../../src/operations/principal.js';
import { GateCourier } from '../../src/realtime/notices/gate-courier.js';
import { createSlackClient } from '../../src/realtime/slack/slack-client.js';
import { listAudit, type AuditRecord } from '../../src/store/audit.js';
import type { GateRecord } from '../../src/store/gate-record.js';
import { getGate, type NewGate } from '../../src/store/gates.js';
import { updateUser } from '../../src/store/users.js';
import { createHttpClient } from '../../src/tools/index.js';
import { anOpenGate, aRunning } from '../operations/running.js';
import { aBench, aPerson, type TestBench } from '../operations/support.js';
import { clickOn, signed, SlackServer, type SignedRequest, type SlackMessage } from '../support/slack-server.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

export const SECRET = 'signing-secret';

export interface SlackAnswer {
  readonly status: number;
  readonly text: string;
  readonly ms: number;
}

export class SlackDoor {
  courier: GateCourier | undefined;
  private constructor(
    readonly bench: TestBench,
    readonly slack: SlackServer,
    readonly stub: StubServer,
    private readonly server: Server,
    private readonly http: ReturnType<typeof createHttpClient>,
  ) {}

  static async start(options: { readonly signingSecret?: string | null } = {}): Promise<SlackDoor> {
    const [bench, slack, stub] = await Promise.all([
      aBench({ limits: { activePerUser: 0, active: 0 } }),
      SlackServer.start(),
      startStubServer(),
    ]);
    const secret = options.signingSecret === undefined ? SECRET : options.signingSecret;
    const deps = {
      operations: bench,
      metrics: createApiMetrics(),
      log: pino({ level: 'silent' }),
      slack: { ...(secret === null ? {} : { signingSecret: secret }), client: clientOf(slack) },
    } as unknown as ApiDependencies;
    const server = createServer(createApp(deps, slackRoutes));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const door = new SlackDoor(bench, slack, stub, server, createHttpClient({ allow: ['127.0.0.1'] }));
    door.startCourier();
    return door;
  }

  startCourier(): void {
    const { db } = this.bench;
    const log = { info: () => undefined, warn: () => undefined };
    const messages = createMessagePoster(db);
    this.courier = new GateCourier({ db, http: this.http, messages, slack: clientOf(this.slack), log }, { sweepMs: 50 });
  }

  async stopCourier(): Promise<void> {
    await this.courier?.stop();
    this.courier = undefined;
  }

  async close(): Promise<void> {
    await this.stopCourier();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await this.bench.close();
    await Promise.all([this.slack.close(), this.stub.close(), this.http.close()]);
  }

  /** A person linked to a user of Slack. */
  async linked(slackUserId: string, overrides: Parameters<typeof aPerson>[1] = {}): Promise<Principal> {
    const person = await aPerson(this.bench, overrides);
    await updateUser(this.bench.db, person.userId, { slackUserId });
    return person;
  }

  /** An open gate of a run of the owner's, told to these targets. */
  async gate(owner: Principal, targets: readonly string[], overrides: Partial<NewGate> = {}): Promise<GateRecord> {
    const id = await aRunning(this.bench, owner, 'waiting_approval');
    return anOpenGate(this.bench, owner, id, { notice: { targets, remindAt: [] }, ...overrides });
  }

  now(approvalId: string): Promise<GateRecord | undefined> {
    return getGate(this.bench.db, approvalId);
  }

  async audited(approvalId: string): Promise<readonly AuditRecord[]> {
    const { items } = await listAudit(this.bench.db, { limit: 200 });
    return items.filter(({ targetId }) => targetId === approvalId);
  }

  send({ headers, body }: SignedRequest): Promise<SlackAnswer> {
    const started = Date.now();
    const { port } = this.server.address() as AddressInfo;
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { host: '127.0.0.1', port, path: '/slack/interactions', method: 'POST', headers, agent: false },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString(), ms: Date.now() - started }),
          );
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  /** @param extra more of what Slack says, such as a `response_url` */
  click(message: SlackMessage, button: 'Approve' | 'Deny', user: string, extra: object = {}): Promise<SlackAnswer> {
    return this.send(signed(SECRET, clickOn(message, button, user, { ...extra })));
  }

  /** What this user was told privately, when it has come. */
  whispered(user: string, text: RegExp): Promise<string> {
    return this.slack.until(`a private word to ${user} like ${String(text)}`, () =>
      this.slack
        .callsOf('chat.postEphemeral')
        .filter(({ args }) => args['user'] === user)
        .map(({ args }) => String(args['text']))
        .find((said) => text.test(said)),
    );
  }
}

const clientOf = (slack: SlackServer) => createSlackClient({ botToken: 'xoxb-test', apiUrl: slack.apiUrl });
