// Builds the client, with the types of what it exchanges with the server.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { pack } from './pack.mjs';

/** What each import comes to in a bundle, minified and with gzip, in bytes: the rest is left out. */
const BYTES_MAX = {
  Follower: 6_000,
  Client: 7_800,
  'Client, moving, sse, webSocket, longPoll': 11_000,
  'Follower, tabs': 10_200,
  SseParser: 800,
};

const root = fileURLToPath(new URL('..', import.meta.url));

execFileSync('node', ['scripts/types.mjs'], { cwd: root, stdio: 'inherit' });
await pack(root, { bytesMax: BYTES_MAX });
// For tests of the parts; it is not published.
await build({ absWorkingDir: root, entryPoints: ['src/*.ts'], target: 'es2022', format: 'esm', outdir: 'dist/parts' });
