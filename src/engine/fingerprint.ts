/** Taken once: inside a workflow's sandbox each mention of a global is a look-up of some 100 ns, which for each character counts. */
const { imul } = Math;

/** Length and a 53-bit hash of a text: whether two of them are the same, without keeping either. Pure; not for secrets. */
export function fingerprint(text: string): string {
  let [high, low] = [0xdeadbeef, 0x41c6ce57];
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = imul(high ^ unit, 2_654_435_761);
    low = imul(low ^ unit, 1_597_334_677);
  }
  high = imul(high ^ (high >>> 16), 2_246_822_507) ^ imul(low ^ (low >>> 13), 3_266_489_909);
  low = imul(low ^ (low >>> 16), 2_246_822_507) ^ imul(high ^ (high >>> 13), 3_266_489_909);
  return `${text.length}.${4_294_967_296 * (2_097_151 & low) + (high >>> 0)}`;
}
