// What `cargo xtask cluster` runs: the soak, for as long as asked.

import { mkdirSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { engineOf } from '../../engine.mjs';
import { SEED } from '../../random.mjs';
import { soak } from './soak.mjs';

const { values } = parseArgs({
  options: { seconds: { type: 'string' }, engine: { type: 'string' }, each: { type: 'string' }, folder: { type: 'string' } },
});
const [seconds, each, kind] = [Number(values.seconds), Number(values.each), engineOf([values.engine])];
if (!kind) throw new Error(`there is no ${values.engine} on this machine`);

// What an earlier run has written down is another's.
rmSync(values.folder, { recursive: true, force: true });
mkdirSync(values.folder, { recursive: true });
const closings = [];
try {
  const outcome = await soak({ seconds, seed: SEED, kind, each, intervalMs: 5_000, folder: values.folder }, (close) => closings.push(close));
  console.log(JSON.stringify({ engine: kind, seconds, seed: SEED, ...outcome }, null, 2));
  process.exitCode = outcome.mistakes.length > 0 ? 1 : 0;
} finally {
  for (const close of closings.reverse()) await close();
}
