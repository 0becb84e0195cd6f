export { createActivities, type Activities, type ActivityDependencies, type ActivityOperations } from './create-activities.js';
export type { ChildOperations, NewChild } from './child-activities.js';
export { createModelClient, type ModelClient } from './model/model-client.js';
export type { ShellParts } from './bash-activity.js';
