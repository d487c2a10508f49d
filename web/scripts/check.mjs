// Checks the types of the pages.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { makeTypes, root } from './bundle.mjs';

makeTypes();
const { status } = spawnSync('node', [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
