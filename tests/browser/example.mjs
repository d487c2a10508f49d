// An example's page, served from an origin of its own beside a server that allows it.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

/** A server, an empty page, where the example is, and what goes wrong on the page. */
export async function openExample(t, name) {
  const html = await readFile(new URL(`../../examples/${name}`, import.meta.url));
  return openPages(t, () => ({ type: 'text/html', text: html }));
}

const launchChromium = () => chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });

/**
 * The same for pages of which `find` tells the `type` and `text`, by their path; the server has `flags`,
 * and `launch` starts the browser.
 */
export async function openPages(t, find, flags = [], launch = launchChromium) {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  const closings = [() => rm(data, { recursive: true, force: true })];
  t.after(async () => {
    for (const close of closings.reverse()) await close();
  });
  const pages = createServer((request, answer) => {
    const { type, text } = find(request.url);
    answer.setHeader('content-type', type).end(text);
  });
  await new Promise((done) => pages.listen(0, '127.0.0.1', done));
  closings.push(() => new Promise((done) => pages.close(done)));
  const origin = `http://127.0.0.1:${pages.address().port}`;
  const server = new Server(BINARY, 'serve', join(data, 'journal'), ['--allowed-origins', origin, ...flags]);
  const kill = () => server.kill();
  process.on('exit', kill);
  closings.push(() => server.end('SIGKILL').then(() => process.off('exit', kill)));
  await server.start();

  const browser = await launch();
  closings.push(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  return { server, page, origin, faults };
}
