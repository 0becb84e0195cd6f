import type { NotifyPlan } from '../../definition/runtime.js';
import { leafActivity } from './leaf-activity.js';

export const notifyStep = leafActivity<NotifyPlan>('notify');
