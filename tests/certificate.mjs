// A certificate for one test: signed by itself, for this machine, made as the README makes one.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whether certificates can be made here. */
export const HAS_OPENSSL = !spawnSync('openssl', ['version']).error;

/** Makes a pair of files in the folder; `flags` are the server's, and clients trust `certificate`. */
export function makeCertificate(folder) {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [command] = readme.match(/^openssl req (?:.*\\\n)*.*$/m);
  execFileSync('sh', ['-ec', command], { cwd: folder, stdio: 'pipe' });
  const [certificate, key] = ['certificate.pem', 'key.pem'].map((name) => join(folder, name));
  return { certificate, key, flags: ['--tls-certificate', certificate, '--tls-key', key] };
}
