// How the pages are bundled, for the binary and while they are worked on.

import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { together } from './first.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));
const client = fileURLToPath(new URL('../../clients/js/', import.meta.url));
const description = fileURLToPath(new URL('../../crates/server/openapi.json', import.meta.url));

/** The client's types are made of the API's description. */
export function makeTypes() {
  const types = `${client}src/api.ts`;
  if (existsSync(types) && statSync(types).mtimeMs > statSync(description).mtimeMs) return;
  execFileSync('node', ['scripts/types.mjs'], { cwd: client, stdio: 'inherit' });
}

/** What esbuild is told for all that browsers load. */
export const OPTIONS = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  target: ['es2022', 'chrome109', 'firefox115', 'safari16.4'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  loader: { '.svg': 'file' },
  alias: { '@bellwire/client': `${client}src/index.ts` },
  logLevel: 'warning',
  legalComments: 'none',
};

/** The pages: what all begin with, and a file for each that is loaded when it is asked for. */
export const PAGES = {
  ...OPTIONS,
  entryPoints: { main: 'src/main.tsx', style: 'src/style/index.css', pages: 'src/style/pages.css' },
  splitting: true,
  plugins: [together(join(root, 'src/main.tsx'))],
  minify: true,
  metafile: true,
  outdir: 'out',
  entryNames: 'assets/[name]-[hash]',
  chunkNames: 'assets/[name]-[hash]',
  assetNames: 'assets/[name]-[hash]',
};

/** What is loaded by a name that stays, since others than the page name it. */
export const STANDING = {
  // The client for pages of anybody's, the examples among them: of the server's own version, always.
  'client.js': { entryPoints: { client: `${client}src/index.ts` } },
  // A service worker is where its scope is.
  'push-worker.js': { entryPoints: { 'push-worker': 'src/worker/push.ts' }, format: 'iife' },
};

/** What esbuild is told for one of them: a file by itself, which loads no other. */
export const alone = (entry) => ({ ...OPTIONS, loader: {}, minify: true, write: false, ...entry });

/** No file that does anything is as small. */
const SHELL_MAX = 100;

/** The files of a bundle by what they were made of, such as `main.js` to `assets/main-4F2A.js`. */
export function outputs({ outputs }) {
  const named = new Map();
  for (const [path, { entryPoint, imports, bytes }] of Object.entries(outputs)) {
    if (!entryPoint) continue;
    // One that does nothing but import another would cost a round trip more.
    const isShell = bytes < SHELL_MAX && imports.length === 1 && imports[0].kind === 'import-statement';
    named.set(entryPoint, (isShell ? imports[0].path : path).replace(/^out\//, ''));
  }
  return named;
}

/** The page, with what it loads. */
export function page(template, files) {
  const script = files.get('src/main.tsx');
  const style = files.get('src/style/index.css');
  const pages = files.get('src/style/pages.css');
  return template.replaceAll('STYLE', style).replaceAll('PAGES', pages).replaceAll('SCRIPT', script);
}
