import { Service } from '../support/service.js';

jest.setTimeout(60_000);

describe('a chat without a model configured', () => {
  let service: Service;
  beforeAll(async () => {
    service = await Service.start();
  });
  afterAll(() => service?.close());

  it('A14 is answered by the demo model, and header, author and reply say so', async () => {
    const { body: list } = await service.api.get<{ items: { id: string }[] }>('/api/sessions?kind=orchestrator');
    const id = list.items[0]?.id ?? '';
    const { body: header } = await service.api.get<{ session: { agent: { isDemo: boolean } } }>(`/api/sessions/${id}`);
    expect(header.session.agent).toEqual({ isDemo: true });
    await service.api.post(`/api/sessions/${id}/messages`, { content: 'Good morning', clientMessageId: 'hello' });
    const reply = await service.until('the reply', async () => {
      const { body } = await service.api.get<{ items: { author: string; content: string; turn: { status: string } | null }[] }>(
        `/api/sessions/${id}/messages`,
      );
      return body.items.find(({ turn }) => turn?.status === 'end_turn');
    });
    expect(reply.author).toBe('Assistant (demo model)');
    expect(reply.content).toMatch(/demo model/i);
  });
});
