// A Bellwire of its own for a run: fresh, and gone when the run is over.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server } from '../../../tests/server.mjs';

const CONFIG = `
[[topic]]
match = "state/**"
kind = "state"
`;

/** Starts the program; `url` is where it listens, `end` ends it. */
export async function startBellwire(binary) {
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-conformance-'));
  const config = join(folder, 'bellwire.toml');
  await writeFile(config, CONFIG);
  const server = new Server(binary, 'serve', join(folder, 'journal'), ['--config', config]);
  process.on('exit', () => server.kill());
  await server.start();
  return {
    url: server.url,
    async end() {
      await server.end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
