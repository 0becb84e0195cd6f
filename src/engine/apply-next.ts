import type { At } from './run.js';
import type { Next } from './step-handler.js';

/** Acts on what a step type says. @returns whether the fiber goes on */
export function applyNext({ frame }: At, next: Next): boolean {
  switch (next.go) {
    case 'wait':
      return false;
    case 'on':
      return true;
    case 'ended':
      frame.end = next.end;
      frame.phase = 'ended';
      return true;
  }
}
