/** Schedules on the real service and the real Temporal server; a cron with seconds keeps a test from waiting for minutes. */
import { createBackground } from '../../src/operations/background.js';
import type { OperationDeps } from '../../src/operations/deps.js';
import { createTemporalGateway } from '../../src/operations/temporal-gateway.js';
import { openDatabase } from '../../src/store/database.js';
import { freshName, type Service } from '../support/service.js';
import type { Execution } from '../support/service-shapes.js';
import type { DeliveryShape, TriggerShape } from './triggers-stage.js';

export interface ScheduledExecution extends Execution {
  readonly trigger: { readonly type: string; readonly id?: string; readonly scheduledAt?: string };
}

export class SchedulesStage {
  /** What a gateway's reconciler is given: to look at schedules when the test wants it. */
  readonly operations: OperationDeps;

  constructor(readonly service: Service) {
    const { databaseUrl, temporalAddress, namespace } = service.servers;
    this.operations = {
      db: openDatabase(databaseUrl),
      temporal: createTemporalGateway({ address: temporalAddress, namespace }),
      background: createBackground(() => undefined),
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      limits: { activePerUser: 0, active: 0 },
      encryptionKey: Buffer.alloc(32, 7),
      toolIds: () => [],
      lightToolIds: [],
    };
  }

  async close(): Promise<void> {
    await this.operations.background.drain();
    await this.operations.temporal.close();
    await this.operations.db.close();
  }

  async trigger(config: object, rest: object = {}): Promise<TriggerShape> {
    const { body, text } = await this.service.api.post<{ trigger: TriggerShape }>('/api/triggers', {
      name: freshName('Schedule'),
      type: 'schedule',
      config,
      ...rest,
    });
    if (body?.trigger === undefined) throw new Error(text);
    return body.trigger;
  }

  async read(id: string): Promise<TriggerShape> {
    return (await this.service.api.get<{ trigger: TriggerShape }>(`/api/triggers/${id}`)).body.trigger;
  }

  /** So that it ticks no more. */
  async pause({ id }: TriggerShape): Promise<void> {
    await this.service.api.post(`/api/triggers/${id}/pause`);
  }

  async deliveries({ id }: TriggerShape): Promise<readonly DeliveryShape[]> {
    return (await this.service.api.get<{ items: DeliveryShape[] }>(`/api/triggers/${id}/deliveries?limit=200`)).body.items.toReversed();
  }

  untilDeliveries(
    trigger: TriggerShape,
    what: string,
    fits: (deliveries: readonly DeliveryShape[]) => boolean,
    timeoutMs = 40_000,
  ): Promise<readonly DeliveryShape[]> {
    return this.service.until(
      `deliveries of ${trigger.name}: ${what}`,
      async () => {
        const found = await this.deliveries(trigger);
        return fits(found) ? found : undefined;
      },
      timeoutMs,
    );
  }

  /** Oldest tick first. */
  async executionsOf({ workflowId }: TriggerShape): Promise<readonly ScheduledExecution[]> {
    const { body } = await this.service.api.get<{ items: ScheduledExecution[] }>(`/api/executions?limit=200&workflowId=${workflowId}`);
    return body.items.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  untilAllEnded(trigger: TriggerShape, count: number): Promise<readonly ScheduledExecution[]> {
    return this.service.until(
      `${count} ended executions of ${trigger.name}`,
      async () => {
        const found = await this.executionsOf(trigger);
        return found.length >= count && found.every(({ completedAt }) => completedAt !== null) ? found : undefined;
      },
      40_000,
    );
  }
}

export const matched = (deliveries: readonly DeliveryShape[]): readonly DeliveryShape[] =>
  deliveries.filter(({ outcome }) => outcome === 'matched');

/** As a tick's delivery names it. */
export const nominal = (instant: string): string => instant.replace('.000Z', 'Z');
