// Numbers that a seed decides, for tests that draw by lot.

/** Another each time, unless the variable says otherwise; it is printed, so that a run can be repeated. */
export const SEED = Number(process.env.BELLWIRE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.error(`BELLWIRE_TEST_SEED=${SEED}`);

/** Numbers from 0 on below 1, the same for the same seed (mulberry32). */
export function randomOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
