export { execution } from './execution.js';
export { conversation } from './conversation.js';
