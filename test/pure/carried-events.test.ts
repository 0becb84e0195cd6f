import type { EngineEvent, Projection } from '../../src/engine/types.js';
import { CarriedEvents } from '../../src/workflows/carried-events.js';

const AT: Projection = { counter: 1, status: 'running', progress: { done: 0, total: 1, current: [] } };
const event = (ordinal: number): EngineEvent => ({ kind: 'step.completed', ordinal: String(ordinal), at: 1, instance: null, data: {} });
const ordinals = (carried: CarriedEvents, limit?: number) => carried.take(AT, limit).carry.events?.map((one) => one.ordinal);

describe('what activities carry', () => {
  it('stays until one that carried it has answered, in order, never twice and never lost', () => {
    const carried = new CarriedEvents();
    carried.add([event(1), event(2)]);
    const first = carried.take(AT);
    carried.add([event(3)]);
    const second = carried.take(AT);
    expect(second.carry.events?.map((one) => one.ordinal)).toEqual(['1', '2', '3']);
    carried.acknowledge(first.mark);
    expect(ordinals(carried)).toEqual(['3']);
    carried.acknowledge(second.mark);
    carried.acknowledge(first.mark);
    expect(carried.bytes).toBe(0);
  });

  it('is unhanded again when its carrier is lost', () => {
    const carried = new CarriedEvents();
    carried.add([event(1)]);
    carried.addDelivered('cmd_1');
    expect(carried.hasUnhanded).toBe(true);
    carried.take(AT);
    expect(carried.hasUnhanded).toBe(false);
    carried.forget();
    expect(carried.hasUnhanded).toBe(true);
    expect(carried.take(AT).carry.delivered).toEqual(['cmd_1']);
  });

  it('counts the ids of commands to its size: a thousand of them ride along with each activity', () => {
    const carried = new CarriedEvents();
    for (let n = 0; n < 1_000; n += 1) carried.addDelivered(`cmd_0123456789_${n}`);
    expect(carried.bytes).toBeGreaterThan(15_000);
    carried.acknowledge(carried.take(AT).mark);
    expect(carried.bytes).toBe(0);
  });

  it('is cut to a limit, at least one event at a time', () => {
    const carried = new CarriedEvents();
    carried.add([event(1), event(2), event(3)]);
    expect(ordinals(carried, 1)).toEqual(['1']);
    expect(carried.hasUnhanded).toBe(true);
  });
});
