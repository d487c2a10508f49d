// `@bellwire/client`.

import { fileURLToPath } from 'node:url';
import { provesDriver } from '../suite/proves.mjs';

provesDriver('JavaScript', ['node', fileURLToPath(new URL('../../js/tests/driver.mjs', import.meta.url))]);
