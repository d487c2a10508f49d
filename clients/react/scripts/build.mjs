// Builds the hooks, beside a client that is built already.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pack } from '../../js/scripts/pack.mjs';

/** What all hooks come to in a bundle beside React and the client, minified and with gzip, in bytes. */
const BYTES_MAX = {
  'BellwireProvider, useAlerts, useClient, useConnection, useEvents, usePresence, useQuery, useTopicState': 3_000,
};

const root = fileURLToPath(new URL('..', import.meta.url));

if (!existsSync(`${root}node_modules/@bellwire/client/dist/index.d.ts`)) {
  console.error('the client is not built: `npm run build` in clients/js');
  process.exit(1);
}
// Where modules are a server's by default, hooks are for the page all the same.
await pack(root, { bytesMax: BYTES_MAX, external: ['react', '@bellwire/client'], banner: "'use client';" });
