import { newest } from '../../src/activities/conversation/chat-request.js';

const entry = (role: 'user' | 'assistant', text: string) => ({ role, text });
const texts = (entries: readonly { readonly text: string }[]): string => entries.map(({ text }) => text).join(' ');

describe('what a conversation reminds its model of', () => {
  const entries = [entry('user', 'q1'), entry('assistant', 'a1'), entry('user', 'q2'), entry('assistant', 'a2'), entry('user', 'q3')];
  const size = JSON.stringify(entries[0]).length;

  it('is everything, while that fits', () => {
    expect(texts(newest(entries, 1_000))).toBe('q1 a1 q2 a2 q3');
  });

  it('is the newest that fits, and begins with what the person said', () => {
    expect(texts(newest(entries, size * 4 + 30))).toBe('q2 a2 q3');
    expect(texts(newest(entries, size * 3 + 10))).toBe('q2 a2 q3');
    expect(texts(newest(entries, size + 5))).toBe('q3');
  });

  it('is never less than the message itself', () => {
    expect(texts(newest(entries, 1))).toBe('q3');
    expect(texts(newest([entry('user', 'x'.repeat(500))], 10))).toBe('x'.repeat(500));
  });
});
