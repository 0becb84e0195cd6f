import type { ToolPlan } from '../../definition/runtime.js';
import { leafActivity } from './leaf-activity.js';

export const toolStep = leafActivity<ToolPlan>('tool');
