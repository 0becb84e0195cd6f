export { execution } from './execution.js';
