// Builds dist: a module, a script for `require`, and the types of both. Says what an application
// that imports the client has to load, and fails where that is more than is promised.

import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** What each import comes to in a bundle, minified and with gzip, in bytes: the rest is left out. */
const BYTES_MAX = {
  Follower: 6_000,
  Client: 7_700,
  'Client, moving, sse, webSocket, longPoll': 10_500,
  SseParser: 800,
};

const root = fileURLToPath(new URL('..', import.meta.url));
const common = { absWorkingDir: root, bundle: true, target: 'es2022', logLevel: 'warning' };

execFileSync('node', ['scripts/types.mjs'], { cwd: root, stdio: 'inherit' });
rmSync(`${root}dist`, { recursive: true, force: true });
execFileSync('node', ['node_modules/typescript/bin/tsc', '-p', '.'], { cwd: root, stdio: 'inherit' });
await build({ ...common, entryPoints: ['src/index.ts'], format: 'esm', outfile: 'dist/index.js' });
await build({ ...common, entryPoints: ['src/index.ts'], format: 'cjs', outfile: 'dist/index.cjs' });
// For tests of the parts; it is not published.
await build({ ...common, entryPoints: ['src/*.ts'], bundle: false, format: 'esm', outdir: 'dist/parts' });
// Types are of a module or of a script as their name says, those that they import included.
for (const name of readdirSync(`${root}dist`).filter((name) => name.endsWith('.d.ts'))) {
  const types = readFileSync(`${root}dist/${name}`, 'utf8');
  writeFileSync(`${root}dist/${name.replace(/ts$/, 'cts')}`, types.replaceAll(/(from '\.\/[a-z]+\.)js'/g, "$1cjs'"));
}
copyFileSync(fileURLToPath(new URL('../../../LICENSE', import.meta.url)), `${root}dist/LICENSE`);
for (const [name, bytesMax] of Object.entries(BYTES_MAX)) await check(name, bytesMax);

/** Bundles what imports one name of the built module, as an application would. */
async function check(name, bytesMax) {
  const contents = `export { ${name} } from './dist/index.js';`;
  const stdin = { contents, resolveDir: root };
  const { outputFiles } = await build({ ...common, stdin, format: 'esm', minify: true, write: false });
  const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${name}: ${bytes} bytes with gzip, ${bytesMax} at most`);
  if (bytes > bytesMax) {
    console.error(`importing ${name} costs ${bytes} bytes, more than ${bytesMax}`);
    process.exit(1);
  }
}
