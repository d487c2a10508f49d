// Bundles each file of tests, and runs them: `test.mjs [FILE…]`, all in `tests` by default.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { makeTypes, OPTIONS, root } from './bundle.mjs';

makeTypes();
const named = process.argv.slice(2);
const all = readdirSync(join(root, 'tests')).filter((name) => /\.test\.tsx?$/.test(name));
const entryPoints = (named.length > 0 ? named.map((path) => basename(path)) : all).map((name) => `tests/${name}`);
const folder = mkdtempSync(join(tmpdir(), 'bellwire-web-'));
try {
  await build({ ...OPTIONS, entryPoints, platform: 'node', target: 'node20', outdir: folder, outExtension: { '.js': '.mjs' }, sourcemap: 'inline' });
  const { status } = spawnSync('node', ['--enable-source-maps', '--test', '--test-reporter=spec', folder], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
