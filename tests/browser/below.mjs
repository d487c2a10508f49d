// A server below a path that something in between gives it, with a page of the examples at that path,
// under the policy that it has in the binary: only what the page itself has in it may run.

import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

/** Answers what is asked below the path by the server, and a page where the path itself is asked for. */
function between(below, html, server) {
  const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const inline = [...html.matchAll(/<(?:script|style)>([^]*?)<\/(?:script|style)>/g)].map(([, text]) => hash(text));
  const policy = `default-src 'self' ${inline.join(' ')}; base-uri 'none'; form-action 'none'`;
  return createServer((asked, answer) => {
    if (!asked.url.startsWith(below)) return answer.writeHead(404).end();
    const path = asked.url.slice(below.length);
    if (path === '' || path === '/') {
      answer.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy });
      return answer.end(html);
    }
    const headers = { ...asked.headers, host: new URL(server.url).host };
    const passed = request(server.url + path, { method: asked.method, headers }, (response) => {
      answer.writeHead(response.statusCode, response.headers);
      response.pipe(answer);
      response.on('error', () => answer.destroy());
    });
    passed.on('error', () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end('bad gateway')));
    answer.on('close', () => passed.destroy());
    asked.pipe(passed);
  });
}

/**
 * A server that `flags` of its data directory start, a page that is not opened yet, where the example is,
 * without a slash behind it, and what goes wrong on the page.
 */
export async function openBelow(t, name, flags = () => []) {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  const closings = [() => rm(data, { recursive: true, force: true })];
  t.after(async () => {
    for (const close of closings.reverse()) await close();
  });
  const server = new Server(BINARY, 'serve', join(data, 'journal'), await flags(data));
  const kill = () => server.kill();
  process.on('exit', kill);
  closings.push(() => server.end('SIGKILL').then(() => process.off('exit', kill)));
  await server.start();
  const html = await readFile(new URL(`../../examples/${name}`, import.meta.url), 'utf8');
  const proxy = between('/deep/below', html, server);
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  closings.push(() => new Promise((done) => {
    proxy.close(done);
    proxy.closeAllConnections();
  }));
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  closings.push(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  return { server, page, url: `http://127.0.0.1:${proxy.address().port}/deep/below`, faults };
}
