export { createRedactor, type Redactor } from '../operations/redaction.js';
