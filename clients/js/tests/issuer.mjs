// Who issues tokens that a server takes.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BINARY } from '../../../tests/clients/bellwire.mjs';

/** A server that takes tokens of its own secret. */
export async function issuing() {
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-issuer-'));
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'a secret of thirty-two bytes and more');
  const text = `
[[access.role]]
name = "reader"
subscribe = ["lab/**"]
publish = ["lab/**"]

[[access.issuer]]
name = "me"
audiences = ["bellwire"]
roles = ["reader"]
leeway = "0s"

[[access.issuer.key]]
secret_file = "${secret}"
`;
  const token = (validFor) => execFileSync(BINARY, [
    'token', 'make', '--secret-file', secret, '--issuer', 'me', '--audience', 'bellwire', '--subject', 'ada', '--valid-for', validFor,
  ]).toString().trim();
  return { text, token, close: () => rm(folder, { recursive: true, force: true }) };
}
