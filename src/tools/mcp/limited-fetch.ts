/** Of one answer, before it is parsed. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

/**
 * `fetch` whose answers break off when they become too large, as the protocol's own reader would keep all of them.
 * @param onTooLarge the reader takes the break for a lost connection and tries again: whoever holds it ends it
 */
export const limitedFetch =
  (onTooLarge: () => void): Fetch =>
  async (url, init) => {
    const response = await fetch(url, init);
    if (response.body === null) return response;
    let bytes = 0;
    const limit = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        if (bytes <= MAX_ANSWER_BYTES) return controller.enqueue(chunk);
        controller.error(new Error('too large'));
        onTooLarge();
      },
    });
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(limit), { status, statusText, headers });
  };
