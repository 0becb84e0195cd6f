/** Conversations that are played and recorded. Adding one: record it as well (record-chats.ts). */
import type { ChatScenario, Said } from '../support/chat-stage.js';

const REPLY: readonly Said[] = ['reply'];

export const CHAT_SCENARIOS: readonly ChatScenario[] = [
  {
    name: 'three-messages',
    script: [REPLY, ['call', 'reply'], REPLY],
    expected: [
      'turn msg_1 1 reply',
      'delivered cmd_1',
      'turn msg_2 1 call',
      'tool msg_2 free',
      'turn msg_2 2 reply',
      'delivered cmd_2',
      'turn msg_3 1 reply',
      'delivered cmd_3',
    ],
  },
  {
    name: 'failover-then-fault',
    script: [['fault'], ['call', 'fault']],
    expected: [
      'turn msg_1 1 fault',
      'turn msg_1 1 fault by n',
      'delivered cmd_1',
      'turn msg_2 1 call',
      'tool msg_2 free',
      'turn msg_2 2 fault',
      'close msg_2 agent_prompt_model_error',
      'delivered cmd_2',
    ],
  },
  {
    name: 'stop-turn',
    script: [['hang'], REPLY],
    drive: async ({ handle, seen }) => {
      await seen('turn msg_1 1 hang');
      await handle.signal('stop', { id: 'cmd_other', messageId: 'msg_9', upTo: 1 });
      await handle.signal('stop', { id: 'cmd_before', messageId: null, upTo: 0 });
      await handle.signal('stop', { id: 'cmd_stop', messageId: 'msg_1', upTo: 1 });
    },
    expected: [
      'turn msg_1 1 hang',
      'close msg_1 stopped',
      'delivered cmd_other',
      'delivered cmd_before',
      'delivered cmd_stop',
      'delivered cmd_1',
      'turn msg_2 1 reply',
      'delivered cmd_2',
    ],
  },
  {
    name: 'stop-before-its-message',
    script: [REPLY, REPLY],
    input: { pendingStop: { id: 'cmd_stop', messageId: null, upTo: 2 } },
    expected: ['close msg_1 stopped', 'delivered cmd_1', 'turn msg_2 1 reply', 'delivered cmd_2'],
  },
  {
    name: 'held-approved',
    script: [['held', 'reply']],
    drive: async ({ seen, settle, handle }) => {
      await seen('gate msg_1');
      // An operator's raw signal only wakes.
      await handle.signal('approve', { approvalId: 'apr_msg_1', decision: 'approve' });
      await settle(1, 'approved');
    },
    expected: ['turn msg_1 1 held', 'gate msg_1', 'tool msg_1 approved', 'turn msg_1 2 reply', 'delivered cmd_1'],
  },
  {
    name: 'held-denied',
    script: [['held', 'reply']],
    drive: async ({ seen, settle }) => {
      await seen('gate msg_1');
      await settle(1, 'denied');
    },
    expected: ['turn msg_1 1 held', 'gate msg_1', 'tool msg_1 denied', 'turn msg_1 2 reply', 'delivered cmd_1'],
  },
  {
    name: 'held-stopped',
    script: [['held', 'reply'], REPLY],
    drive: async ({ handle, seen }) => {
      await seen('gate msg_1');
      await handle.signal('message', { id: 'cmd_2', messageId: 'msg_2' });
      await handle.signal('stop', { messageId: null, upTo: 1 });
    },
    expected: ['turn msg_1 1 held', 'gate msg_1', 'apr_msg_1 cancelled', 'close msg_1 stopped', 'delivered cmd_1', 'turn msg_2 1 reply', 'delivered cmd_2'],
  },
  {
    name: 'cancelled',
    script: [['hang'], REPLY],
    drive: async ({ handle, seen }) => {
      await seen('turn msg_1 1 hang');
      await handle.cancel();
    },
    expected: ['turn msg_1 1 hang', 'close msg_1 stopped', 'delivered cmd_1'],
  },
  {
    name: 'hand-over',
    script: Array.from({ length: 12 }, () => ['call', 'reply'] as const),
    expected: Array.from({ length: 12 }, (_, index) => {
      const id = index + 1;
      return [`turn msg_${id} 1 call`, `tool msg_${id} free`, `turn msg_${id} 2 reply`, `delivered cmd_${id}`];
    }).flat(),
  },
];
