// How each of the packages for JavaScript is built: a module, a script for `require`, and the types of
// both. Says what an application that imports it has to load, and fails where that is more than is
// promised.

import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const TSC = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
const LICENSE = fileURLToPath(new URL('../../../LICENSE', import.meta.url));

/**
 * Builds `dist` of the package in this folder, which ends with a slash. `bytesMax` has what each import
 * may come to in a bundle, minified and with gzip, in bytes; what is `external` is others'. `banner` is
 * what the code begins with.
 */
export async function pack(root, { bytesMax, external = [], banner = '' }) {
  const common = { absWorkingDir: root, bundle: true, target: 'es2022', logLevel: 'warning', external };
  rmSync(`${root}dist`, { recursive: true, force: true });
  execFileSync('node', [TSC, '-p', '.'], { cwd: root, stdio: 'inherit' });
  const whole = { ...common, entryPoints: ['src/index.ts'], banner: { js: banner } };
  await build({ ...whole, format: 'esm', outfile: 'dist/index.js' });
  await build({ ...whole, format: 'cjs', outfile: 'dist/index.cjs' });
  // Types are of a module or of a script as their name says, those that they import included.
  for (const name of readdirSync(`${root}dist`).filter((name) => name.endsWith('.d.ts'))) {
    const types = readFileSync(`${root}dist/${name}`, 'utf8');
    writeFileSync(`${root}dist/${name.replace(/ts$/, 'cts')}`, types.replaceAll(/(from '\.\/[a-z]+\.)js'/g, "$1cjs'"));
  }
  copyFileSync(LICENSE, `${root}dist/LICENSE`);
  for (const [names, most] of Object.entries(bytesMax)) await check(names, most, common);
}

/** Bundles what imports some names of the built module, as an application would. */
async function check(names, bytesMax, common) {
  const stdin = { contents: `export { ${names} } from './dist/index.js';`, resolveDir: common.absWorkingDir };
  const { outputFiles } = await build({ ...common, stdin, format: 'esm', minify: true, write: false });
  const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${names}: ${bytes} bytes with gzip, ${bytesMax} at most`);
  if (bytes > bytesMax) {
    console.error(`importing ${names} costs ${bytes} bytes, more than ${bytesMax}`);
    process.exit(1);
  }
}
