// The clients of this repository, each by its driver.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BINARY, provesDriver } from '../suite/proves.mjs';

/** How many of them run at a time: they wait more than they work. */
const AT_A_TIME = 3;

/** A Python that has httpx. */
const PYTHON = process.env.PYTHON_CLIENT_BIN ?? 'python3';
const HAS_HTTPX = spawnSync(PYTHON, ['-c', 'import httpx']).status === 0;
/** Built beside the program, as examples are with the tests. */
const RUST = join(dirname(BINARY), 'examples', 'conformance_driver');

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Proves it where what it needs is there. */
function provesWhere(isThere, what, name, command) {
  if (isThere) return provesDriver(name, command);
  console.error(`SKIPPED: there is no ${what} on this machine: the client for ${name}`);
  test(`the client for ${name}`, { skip: `there is no ${what}` }, () => {});
}

describe('clients', { concurrency: AT_A_TIME }, () => {
  provesDriver('JavaScript', ['node', at('js/tests/driver.mjs')]);
  provesWhere(HAS_HTTPX, 'Python with httpx', 'Python', [PYTHON, '-B', at('python/tests/conformance_driver.py'), 'Client']);
  provesWhere(HAS_HTTPX, 'Python with httpx', 'Python with async', [PYTHON, '-B', at('python/tests/conformance_driver.py'), 'AsyncClient']);
  provesWhere(existsSync(RUST), 'build of its driver', 'Rust', [RUST]);
  provesDriver('those who look at an example', ['node', at('conformance/examples/small.mjs')]);
});
