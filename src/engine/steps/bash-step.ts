import type { BashPlan } from '../../definition/runtime.js';
import { leafActivity } from './leaf-activity.js';

export const bashStep = leafActivity<BashPlan>('bash');
