/** The API with one person, their workflow and whatever triggers a test makes; what was started is read from the API. */
import { createHmac, randomUUID } from 'node:crypto';
import { ApiUnderTest, type Answer, type ApiOptions, type Refusal } from '../api/api-under-test.js';

export interface TriggerShape {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly workflowId: string | null;
  readonly enabled: boolean;
  readonly config: { readonly [field: string]: unknown };
  readonly variableMapping: { readonly [name: string]: string };
  readonly webhookUrl?: string;
  readonly hasSecret?: boolean;
  readonly hasPreviousSecret?: boolean;
  readonly schedule?: {
    readonly description: string;
    readonly next: readonly string[];
    readonly paused: boolean;
    readonly catchupWindowMs: number;
  };
  readonly lastFiredAt: string | null;
  readonly createdAt: string;
}
export interface DeliveryShape {
  readonly id: string;
  readonly outcome: string;
  readonly reason: string | null;
  readonly eventType: string | null;
  readonly deliveryId: string | null;
  readonly executionId: string | null;
  readonly payloadPreview: string | null;
  readonly latencyMs: number;
  readonly test: boolean;
}
export interface ExecutionShape {
  readonly id: string;
  readonly trigger: { readonly [field: string]: unknown };
  readonly variables: { readonly [name: string]: unknown };
}
export interface Fired {
  readonly executionId: string;
  readonly deliveryId: string;
  readonly deduplicated: boolean;
}

export const sign = (secret: string, body: string): string => createHmac('sha256', secret).update(body).digest('hex');

let names = 0;
/** Unique in the deployment, fit for a path. */
export const fresh = (word: string): string => `${word}-${(names += 1)}`;

export class TriggersStage {
  private constructor(
    readonly api: ApiUnderTest,
    readonly key: string,
    readonly userId: string,
  ) {}

  static async start(options: ApiOptions = {}): Promise<TriggersStage> {
    const api = await ApiUnderTest.start(options);
    const { key, id } = await api.person('admin', { name: 'Ana' });
    return new TriggersStage(api, key, id);
  }

  close(): Promise<void> {
    return this.api.close();
  }

  send<Body = Refusal>(method: string, path: string, body?: unknown, key = this.key): Promise<Answer<Body>> {
    return this.api.send<Body>(method, path, { key, body });
  }

  async workflow(data: object = {}): Promise<string> {
    const name = fresh('Workflow');
    const { body } = await this.send<{ workflow: { id: string } }>('POST', '/api/workflows/sync', {
      name,
      data: { name, steps: [{ id: 'a', type: 'set', values: { x: 1 } }], ...data },
    });
    return body.workflow.id;
  }

  /** Made, or it throws what was wrong. */
  async trigger(input: object): Promise<TriggerShape> {
    const answer = await this.send<{ trigger: TriggerShape }>('POST', '/api/triggers', input);
    if (answer.status > 201) throw new Error(JSON.stringify(answer.body));
    return answer.body.trigger;
  }

  async webhook(config: object = {}, rest: object = {}): Promise<TriggerShape & { readonly path: string }> {
    const path = fresh('hook');
    const workflowId = (rest as { workflowId?: string }).workflowId ?? (await this.workflow());
    return { ...(await this.trigger({ name: path, type: 'webhook', config: { path, ...config }, ...rest, workflowId })), path };
  }

  call<Body = Fired & Refusal>(
    path: string,
    options: { readonly body?: string; readonly headers?: { [name: string]: string }; readonly method?: string } = {},
  ): Promise<Answer<Body>> {
    const { body, headers = {}, method = 'POST' } = options;
    return this.api.send<Body>(method, `/webhooks/${path}`, {
      ...(body === undefined ? {} : { body }),
      headers: { 'content-type': 'application/json', ...headers },
    });
  }

  /** A call that is a delivery of its own. */
  once<Body = Fired & Refusal>(
    path: string,
    options: { readonly body?: string; readonly headers?: { [name: string]: string }; readonly method?: string } = {},
  ): Promise<Answer<Body>> {
    return this.call<Body>(path, { ...options, headers: { 'x-webhook-id': randomUUID(), ...options.headers } });
  }

  async deliveries(triggerId: string): Promise<readonly DeliveryShape[]> {
    return (await this.send<{ items: DeliveryShape[] }>('GET', `/api/triggers/${triggerId}/deliveries?limit=200`)).body.items;
  }

  async execution(id: string): Promise<ExecutionShape> {
    return (await this.send<{ execution: ExecutionShape }>('GET', `/api/executions/${encodeURIComponent(id)}`)).body.execution;
  }

  async executionsOf(workflowId: string, query = ''): Promise<readonly ExecutionShape[]> {
    return (await this.send<{ items: ExecutionShape[] }>('GET', `/api/executions?limit=200&workflowId=${workflowId}${query}`)).body.items;
  }
}
