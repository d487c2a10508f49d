// A certificate for one test: signed by itself, for this machine, made with OpenSSL.

import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Whether certificates can be made here. */
export const HAS_OPENSSL = !spawnSync('openssl', ['version']).error;

/** Makes a pair in the folder; `flags` are the server's, and clients trust `certificate`. */
export function makeCertificate(folder) {
  const [certificate, key] = ['certificate.pem', 'key.pem'].map((name) => join(folder, name));
  const what = ['-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const files = ['-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', ...what, ...names, ...files, '-days', '2'], { stdio: 'pipe' });
  return { certificate, flags: ['--tls-certificate', certificate, '--tls-key', key] };
}
