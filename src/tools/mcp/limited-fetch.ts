/** Of one answer, before it is parsed. */
export const MAX_ANSWER_BYTES = 10 * 1024 * 1024;

type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

/**
 * `fetch` whose answers break off when they become too large, as the protocol's own reader would keep all of them.
 * @param onTooLarge told of the message whose answer it was; undefined: of a stream that answers none
 */
export const limitedFetch =
  (onTooLarge: (id: string | number | undefined) => void): Fetch =>
  async (url, init) => {
    const response = await fetch(url, init);
    if (response.body === null) return response;
    let bytes = 0;
    const limit = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        if (bytes <= MAX_ANSWER_BYTES) return controller.enqueue(chunk);
        controller.error(new Error('too large'));
        onTooLarge(idOf(init?.body));
      },
    });
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(limit), { status, statusText, headers });
  };

function idOf(body: unknown): string | number | undefined {
  if (typeof body !== 'string') return undefined;
  const { id } = JSON.parse(body) as { readonly id?: unknown };
  return typeof id === 'string' || typeof id === 'number' ? id : undefined;
}
