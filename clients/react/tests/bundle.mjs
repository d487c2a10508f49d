// Code of applications, as a browser or Node takes it, with one version of React or another.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const { build } = createRequire(new URL('../../js/package.json', import.meta.url))('esbuild');

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The versions of React that the hooks are tested with, and what each is called here. */
export const REACTS = {
  19: {},
  18: { react: 'react-18', 'react-dom': 'react-dom-18' },
};

/** One script of the code, whose imports are those of the package, for a `platform` of esbuild's. */
export async function bundle(code, { react = 19, platform = 'browser', folder = `${ROOT}tests` } = {}) {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: folder, loader: 'tsx' },
    bundle: true,
    write: false,
    platform,
    format: platform === 'node' ? 'cjs' : 'iife',
    jsx: 'automatic',
    // That of development checks what the other takes for granted, and renders twice.
    define: { 'process.env.NODE_ENV': '"development"' },
    alias: REACTS[react],
    logLevel: 'warning',
  });
  return outputFiles[0].text;
}

/** What a script for Node exports. */
export function load(script) {
  const module = { exports: {} };
  new Function('module', 'exports', 'require', script)(module, module.exports, createRequire(import.meta.url));
  return module.exports;
}
