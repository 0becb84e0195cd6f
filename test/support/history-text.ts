import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';

/** A history as it is kept in a file: failures without the frames of their stacks, which name folders of the machine and are not replayed. */
export const historyText = (history: Parameters<typeof historyToJSON>[0]): string => withoutFrames(historyToJSON(history));

/** Of each `stackTrace`, the text above its first frame. */
export const withoutFrames = (text: string): string =>
  text.replaceAll(
    /("stackTrace": ?")((?:[^"\\]|\\.)*)"/g,
    (_all, name: string, stack: string) => `${name}${stack.split('\\n    at ', 1)[0]}"`,
  );
