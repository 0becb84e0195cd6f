/** The modal that asks for the answer to a gate's form, and what can be said in it instead. Pure. */
import type { GateRecord } from '../../store/gate-record.js';
import { formBlocks } from './answer-form.js';
import { cut, escaped } from './mrkdwn.js';
import type { Block } from './slack-client.js';

export const ANSWER_CALLBACK = 'signalbox_answer';
export const REASON_BLOCK = 'reason';
const TEXT_LIMIT = 3_000;

/** What the modal carries back to us. */
export interface ModalContext {
  readonly approvalId: string;
  /** Where the button was, for a word to whoever clicked it. */
  readonly channel?: string;
}

export function answerModal(gate: GateRecord, context: ModalContext): object {
  const prompt = gate.prompt?.trim() ?? '';
  return {
    type: 'modal',
    callback_id: ANSWER_CALLBACK,
    private_metadata: JSON.stringify(context),
    title: { type: 'plain_text', text: 'Approve' },
    submit: { type: 'plain_text', text: 'Approve' },
    close: { type: 'plain_text', text: 'Back' },
    blocks: [
      ...(prompt === '' ? [] : [section(escaped(prompt, TEXT_LIMIT))]),
      ...formBlocks(gate.form),
      {
        type: 'input',
        block_id: REASON_BLOCK,
        optional: true,
        label: { type: 'plain_text', text: 'Reason' },
        element: { type: 'plain_text_input', action_id: 'value', max_length: TEXT_LIMIT },
      },
    ],
  };
}

/** In place of the form: there is nothing to answer any more, or not by this person. */
export const wordModal = (text: string): object => ({
  type: 'modal',
  title: { type: 'plain_text', text: 'Approve' },
  close: { type: 'plain_text', text: 'Close' },
  blocks: [section(cut(text, TEXT_LIMIT))],
});

const section = (text: string): Block => ({ type: 'section', text: { type: 'mrkdwn', text, verbatim: true } });
