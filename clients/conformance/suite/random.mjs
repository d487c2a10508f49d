// Numbers that a seed decides.

/** What random scenarios begin with: another each time, unless the variable says otherwise. */
export const SEED = Number(process.env.BELLWIRE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Gives numbers from 0 to 1, others for each name. */
export function randomOf(name) {
  let state = [...name].reduce((sum, letter) => Math.imul(sum ^ letter.codePointAt(0), 0x01000193), SEED) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
