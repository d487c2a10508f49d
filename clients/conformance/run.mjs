#!/usr/bin/env node
// Runs the suite with a driver: `node run.mjs [OPTIONS] -- PROGRAM [ARGUMENT…]`.

import { parseArgs } from 'node:util';
import { startBellwire } from './suite/bellwire.mjs';
import { SEED } from './suite/random.mjs';
import { runAll } from './suite/run.mjs';
import { requirementsPage, scenarios } from './suite/scenarios.mjs';

const USAGE = `node run.mjs [OPTIONS] -- PROGRAM [ARGUMENT…]

  PROGRAM           a driver, see README.md
  --upstream URL    a Bellwire that is running: scenarios with a real server use it
  --bellwire PATH   the program \`bellwire\`: one is started for them
  --only TEXT       scenarios whose name has this text
  --jobs N          so many scenarios at a time; all by default
  --list            what is required, as README.md has it; runs nothing
`;

function read() {
  const options = {
    upstream: { type: 'string' }, bellwire: { type: 'string' }, only: { type: 'string' }, jobs: { type: 'string' },
    list: { type: 'boolean' }, help: { type: 'boolean' },
  };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const jobs = values.jobs === undefined ? Infinity : Number(values.jobs);
  if (Number.isNaN(jobs) || jobs < 1) throw new TypeError('--jobs takes a number from 1 on');
  if (!values.list && !values.help && positionals.length === 0) throw new TypeError('which driver? Name its program behind `--`');
  return { ...values, jobs, command: positionals };
}

/** The status that the process ends with. */
async function run({ command, upstream, bellwire, only = '', jobs }) {
  const chosen = scenarios.filter(({ title }) => title.includes(only));
  if (chosen.length === 0) throw new TypeError(`no scenario has \`${only}\` in its name`);
  const server = bellwire ? await startBellwire(bellwire) : null;
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const skipped = new Map();
  const told = ({ title, requirement }, { outcome, reason, error, description }) => {
    counts[outcome] += 1;
    if (outcome === 'skipped') skipped.set(reason, [...(skipped.get(reason) ?? []), title]);
    if (outcome === 'passed') console.log(`ok      ${title}`);
    if (outcome === 'failed') console.log(`FAILED  ${title}\n  ${requirement}\n  ${error.message}\n${description}`);
  };
  console.log(`BELLWIRE_TEST_SEED=${SEED}`);
  try {
    const status = await runAll(command, chosen, { upstream: server?.url ?? upstream, jobs, told });
    if (status !== 0) {
      console.log(`FAILED  the driver ended with ${status} when it was told to exit`);
      counts.failed += 1;
    }
  } finally {
    await server?.end();
  }
  for (const [reason, titles] of skipped) console.log(`\nSKIPPED, since ${reason}:\n  ${titles.join('\n  ')}`);
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  return counts.failed === 0 ? 0 : 1;
}

try {
  const options = read();
  if (options.help) console.log(USAGE);
  else if (options.list) console.log(requirementsPage());
  else process.exitCode = await run(options);
} catch (error) {
  console.error(error instanceof TypeError || error.code?.startsWith('ERR_PARSE_ARGS') ? `${error.message}\n\n${USAGE}` : error.message);
  process.exitCode = 2;
}
