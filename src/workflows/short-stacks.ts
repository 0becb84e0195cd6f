/**
 * Preloaded into the workflow sandbox, before its globals are frozen. The SDK notes a source-mapped stack for every promise
 * that a workflow makes, to serve `__stack_trace`; a step makes a dozen, and at ten lines each that was a third of the workflow
 * thread's time (docs/performance.md). Three lines still name the place of a fault. Changes no command.
 */
Error.stackTraceLimit = 3;
