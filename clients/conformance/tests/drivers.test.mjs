// The clients of this repository, each by its driver.

import { describe } from 'node:test';
import { fileURLToPath } from 'node:url';
import { provesDriver } from '../suite/proves.mjs';

/** How many of them run at a time: they wait more than they work. */
const AT_A_TIME = 3;

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

describe('clients', { concurrency: AT_A_TIME }, () => {
  provesDriver('JavaScript', ['node', at('js/tests/driver.mjs')]);
  provesDriver('those who look at an example', ['node', at('conformance/examples/small.mjs')]);
});
