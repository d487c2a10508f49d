// Telegraf's outputs, as the documentation has them.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'node:test';
import { freePort } from '../port.mjs';
import { eventually, provesOnSmallDisk, provesWithRules } from './bellwire.mjs';
import {
  Numbered, refusedSamples, RULES, throughBusyRules, throughFullDisk, throughKills,
} from './numbered.mjs';
import { Tool } from './tool.mjs';

const PAGE = readFileSync(new URL('../../docs/ingest/telegraf.md', import.meta.url), 'utf8');
const BLOCKS = [...PAGE.matchAll(/^```toml\n([^]*?)^```$/gm)].map(([, block]) => block);
const [AGENT] = BLOCKS[0].split('\n\n');
const HOST = '127.0.0.1:8080';

const telegraf = new Tool('telegraf', 'TELEGRAF_BIN');

/** The outputs of the documentation, by what they are called here. */
const OUTPUTS = {
  'for InfluxDB 2': { block: BLOCKS[0].slice(AGENT.length), source: 'influx' },
  'for InfluxDB 1': { block: BLOCKS[1], source: 'influx' },
  'for remote write': { block: BLOCKS[2], source: 'remote_write', sendsNewestAlone: true },
  'for HTTP with the line protocol': { block: BLOCKS[3], source: 'influx' },
};

/** A Telegraf that sends to the server what it is given. */
async function start(server, atEnd, { block }) {
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-telegraf-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const listen = `127.0.0.1:${await freePort()}`;
  const output = block.replace(HOST, new URL(server.url).host);
  assert.notEqual(output, block);
  const file = join(folder, 'telegraf.conf');
  await writeFile(file, `${AGENT}
${output}
[[inputs.http_listener_v2]]
  service_address = "tcp://${listen}"
  paths = ["/"]
  data_format = "influx"
`);
  const running = telegraf.start([`--config=${file}`], atEnd);
  const isThere = () => fetch(`http://${listen}`).then(() => true, () => false);
  await eventually('Telegraf', isThere).catch((error) => assert.fail(`${error.message}: ${running.output()}`));
  let latest = 0;
  const give = async (lines) => {
    const answer = await fetch(`http://${listen}`, { method: 'POST', body: lines });
    assert.equal(answer.status, 204);
  };
  const sender = new Numbered(async (value) => {
    await eventually('another millisecond', () => Date.now() > latest);
    latest = Date.now();
    await give(`steps total=${value}i ${latest}000000\n`);
  });
  return { sender, give, output: running.output };
}

const proves = (name, how, body) => telegraf.proves(name, body, (name, body) => how(name, RULES, body));

function sends(called, kind) {
  describe(`the output ${called}`, { concurrency: true }, () => {
    const begin = async (server, atEnd) => {
      const { sender, give, output } = await start(server, atEnd, kind);
      if (kind.sendsNewestAlone) sender.assertArrived = assertInOrder;
      return { sender, give, output };
    };

    proves('brings all once, through SIGKILL and SIGSTOP', provesWithRules, async (server, atEnd) => {
      const { sender, output } = await begin(server, atEnd);
      await throughKills(server, sender);
      await assertNothingRefused(server, output);
    });

    proves('brings once what it cannot send while the disk is full', provesOnSmallDisk, async (server, atEnd, disk) => {
      const { sender, output } = await begin(server, atEnd);
      await throughFullDisk(server, sender, disk);
      await assertNothingRefused(server, output);
    });

    proves('brings once what it cannot send while the rules wait', provesOnSmallDisk, async (server, atEnd, disk) => {
      const { sender, output } = await begin(server, atEnd);
      await throughBusyRules(server, sender, disk);
      await assertNothingRefused(server, output);
    });

    proves('goes on after what is never taken', provesWithRules, async (server, atEnd) => {
      const { sender, give, output } = await begin(server, atEnd);
      await sender.goesOn();
      // Of the last century.
      await give('old total=1i 1\n');
      await sender.goesOn();
      await sender.hasArrived(server);
      const refused = await refusedSamples(server, kind.source);
      assert.equal(refused.length, 1);
      assert.match(refused[0], /reason="timestamp_out_of_range"} 1$/);
      await eventually('the word of it', () => /partial write|not taken/.test(output()));
    });
  });

  async function assertNothingRefused(server, output) {
    assert.deepEqual(await refusedSamples(server, kind.source), []);
    assert.doesNotMatch(output(), /dropped|discarding|Metrics are lost/);
  }
}

describe('Telegraf', { concurrency: true }, () => {
  for (const [called, kind] of Object.entries(OUTPUTS)) sends(called, kind);
});

/** Whether what there is is in order, and the newest of it is the last that there was. */
function assertInOrder(values, count) {
  const numbers = values.map(([, value]) => value);
  assert.deepEqual(numbers, [...new Set(numbers)].sort((one, other) => one - other));
  assert.equal(numbers.at(-1), count);
}
