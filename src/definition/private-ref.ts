import type { Ref } from './value.js';

/**
 * A reference without a preview: what it stands for, however short, is kept out of Temporal's histories (what agents say). Rows and events show
 * it in its place when it is small.
 */
export const privateRef = (ref: Ref): Ref => ({ ...ref, preview: '' });

export const isPrivate = ({ preview }: Ref): boolean => preview === '';
