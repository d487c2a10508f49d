// Serves the pages as they are in the sources, bundled anew for each load, and passes the rest on to a
// running server: `dev.mjs --server http://127.0.0.1:8080 [--port 8081]`. It listens on loopback.

import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { alone, makeTypes, outputs, page, PAGES, root, STANDING } from './bundle.mjs';

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.map': 'application/json' };

const { values } = parseArgs({ options: { server: { type: 'string', default: 'http://127.0.0.1:8080' }, port: { type: 'string', default: '8081' } } });
const server = new URL(values.server);

let files = new Map();

/** Bundles everything; what is wrong is shown in the terminal, and the page before it stays. */
async function bundle() {
  makeTypes();
  const { outputFiles, metafile } = await build({ ...PAGES, minify: false, sourcemap: 'inline', write: false });
  const made = new Map(outputFiles.map(({ path, contents }) => [path.slice(join(root, 'out/').length), Buffer.from(contents)]));
  for (const [name, entry] of Object.entries(STANDING)) {
    const { outputFiles: [file] } = await build(alone(entry));
    made.set(name, Buffer.from(file.contents));
  }
  made.set('', Buffer.from(page(readFileSync(join(root, 'src/index.html'), 'utf8'), outputs(metafile))));
  made.set('icon.svg', readFileSync(join(root, 'static/icon.svg')));
  files = made;
}

/** To the server its own page asks, where this one does. */
function headersOf({ headers }) {
  const isOwn = headers.origin === `http://${headers.host}`;
  return { ...headers, host: server.host, ...(isOwn && { origin: server.origin }) };
}

const proxied = (message) => ({ host: server.hostname, port: server.port, method: message.method, path: message.url, headers: headersOf(message) });

const dev = createServer(async (message, answer) => {
  const name = decodeURIComponent(message.url.slice(1).split('?')[0]);
  if (name === '') await bundle().catch((error) => console.error(error.message));
  const file = files.get(name);
  if (file) {
    answer.writeHead(200, { 'content-type': TYPES[extname(name) || '.html'], 'cache-control': 'no-store' });
    return answer.end(file);
  }
  const passed = request(proxied(message), (got) => {
    answer.writeHead(got.statusCode, got.headers);
    got.pipe(answer);
    // Who leaves is seen by the server, and so is a server that has gone by the page.
    answer.on('close', () => got.destroy());
    got.on('error', () => answer.destroy());
  });
  passed.on('error', (error) => {
    if (!answer.headersSent) answer.writeHead(502, { 'content-type': 'text/plain' });
    answer.end(`the server at ${server.origin} does not answer: ${error.message}\n`);
  });
  message.pipe(passed);
});

dev.on('upgrade', (message, socket, head) => {
  const passed = connect(Number(server.port), server.hostname, () => {
    const lines = Object.entries(headersOf(message)).map(([name, value]) => `${name}: ${value}\r\n`);
    passed.write(`${message.method} ${message.url} HTTP/1.1\r\n${lines.join('')}\r\n`);
    passed.write(head);
    passed.pipe(socket).pipe(passed);
  });
  passed.on('error', () => socket.destroy());
  socket.on('error', () => passed.destroy());
});

dev.listen(Number(values.port), '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${dev.address().port}`));
