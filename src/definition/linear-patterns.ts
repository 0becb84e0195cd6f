import { RE2JS } from 're2js';

/**
 * A user's pattern, JavaScript's way of writing it, by RE2: in linear time, whatever the text. For Ajv's `code.regExp`, which keeps one compiled
 * pattern for each text that `toString` gives. Not for the workflow.
 * @throws Error for what RE2 does not take, such as look-behind
 */
export const linearRegExp = Object.assign(
  (pattern: string) => {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern));
    return { test: (text: string) => compiled.matcher(text).find(), toString: () => pattern };
  },
  { code: 'linearRegExp' },
);
