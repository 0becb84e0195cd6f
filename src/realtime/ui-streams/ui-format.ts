import type { Told } from './narration.js';

/** How a run is written for readers of somebody else's protocol, over server-sent events. */
export interface UiFormat {
  readonly headers: { readonly [name: string]: string };
  /** What is told as server-sent events, '' for nothing. */
  readonly encode: (told: Told) => string;
  /** Behind the last event. */
  readonly end: string;
}
