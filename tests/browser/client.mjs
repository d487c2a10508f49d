// A page of another origin that has the client library.

import { readFile } from 'node:fs/promises';
import { openPages } from './example.mjs';

/** Built by the tests of clients/js, or by `npm run build` there. */
const CLIENT = new URL('../../clients/js/dist/index.js', import.meta.url);
const HTML = `<!doctype html><title>client</title>
<script type="module">import * as bellwire from '/client.js'; globalThis.bellwire = bellwire;</script>`;

/** Gives what is at a path: the library as a script, and all else is a page that has it as `bellwire`. */
export async function readLibrary() {
  const script = await readFile(CLIENT);
  return (path) => (path === '/client.js' ? { type: 'text/javascript', text: script } : { type: 'text/html', text: HTML });
}

/** A page that has the library as `bellwire`, beside a server that allows it, in the browser that `launch` starts. */
export async function openLibrary(t, launch) {
  const parts = await openPages(t, await readLibrary(), [], launch);
  await parts.page.goto(parts.origin);
  await parts.page.waitForFunction(() => globalThis.bellwire);
  return parts;
}
