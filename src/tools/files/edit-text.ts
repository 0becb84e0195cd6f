import { StepFault } from '../step-fault.js';

export interface Edit {
  readonly oldText: string;
  readonly newText: string;
  readonly replaceAll: boolean;
  /** Of the file, for messages. */
  readonly name: string;
}

/** The text with the passage replaced. Pure. @throws StepFault `tool_failed` when it is not there, or more than once unless `replaceAll` */
export function editText(text: string, { oldText, newText, replaceAll, name }: Edit): { readonly text: string; readonly replaced: number } {
  const parts = text.split(oldText);
  const times = parts.length - 1;
  if (times === 0) throw new StepFault('tool_failed', `oldText does not stand in ${name}: read the file and copy the passage exactly`);
  if (times > 1 && !replaceAll)
    throw new StepFault('tool_failed', `oldText stands ${times} times in ${name}: give more of its surroundings, or replaceAll`, {
      details: { times },
    });
  return { text: parts.join(newText), replaced: times };
}
