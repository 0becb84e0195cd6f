export { startDemoModel } from './start-demo-model.js';
