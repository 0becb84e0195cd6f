export { createActivities, type Activities, type ActivityOperations } from './create-activities.js';
export { createModelClient } from './model/model-client.js';
