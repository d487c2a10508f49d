// Proxies that are not set up for streams, in front of the client: they strip `Upgrade`, keep what
// comes, or cut what is silent. What it is given is whole all the same, and it says why it moved.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { eventually, proves, range } from '../../../tests/clients/bellwire.mjs';
import { freePort } from '../../../tests/port.mjs';
import { hasProxy, startProxy } from '../../../tests/proxy.mjs';
import { Client, longPoll, moving, sse, webSocket } from '../dist/index.js';

/** How long proxies here let a connection be silent, in place of the 30 s or 60 s of many. */
const CUT_S = 1;
const CUTS = 3;

const nginx = (port, upstream, lines) => `
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://${upstream}; proxy_http_version 1.1; ${lines} }
  }`;
const haproxy = (port, upstream, lines, timeout = '60s') => `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server ${timeout}
  timeout tunnel ${timeout}
frontend all
  bind 127.0.0.1:${port}
  ${lines}
  default_backend bellwire
backend bellwire
  server one ${upstream}
`;
const UPGRADES = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;';
/** What compresses keeps what it was given until that is worth it. */
const KEEPS = 'proxy_ignore_headers X-Accel-Buffering; proxy_set_header Accept-Encoding ""; gzip on; gzip_proxied any; gzip_types text/event-stream;';

/** What each fault is made of, for each proxy. */
const FAULTS = {
  'strips Upgrade': {
    nginx: (port, upstream) => nginx(port, upstream, ''),
    haproxy: (port, upstream) => haproxy(port, upstream, 'http-request del-header Upgrade'),
  },
  'keeps streams of HTTP back': {
    nginx: (port, upstream) => nginx(port, upstream, `${UPGRADES} ${KEEPS}`),
    haproxy: (port, upstream) => haproxy(port, upstream, 'http-response wait-for-body time 60s at-least 100000 unless { status 101 }'),
  },
  'cuts what is silent': {
    nginx: (port, upstream) => nginx(port, upstream, `${UPGRADES} proxy_read_timeout ${CUT_S}s;`),
    haproxy: (port, upstream) => haproxy(port, upstream, '', `${CUT_S}s`),
  },
};

/** A test with a server, and a client behind a proxy that has the fault; it prefers the first transport. */
function provesBehind(proxy, fault, what, transports, body) {
  const name = `behind ${proxy} that ${fault} ${what}`;
  if (!hasProxy(proxy)) {
    console.error(`SKIPPED: there is no ${proxy} on this machine: ${name}`);
    test(name, { skip: `there is no ${proxy}` }, () => {});
    return;
  }
  proves(name, async (server, atEnd) => {
    const port = await freePort();
    await startProxy(proxy, FAULTS[fault][proxy](port, new URL(server.url).host), port, atEnd);
    // Only what keeps everything is mute, however slow the machine is; nothing is tried out again meanwhile.
    const muteMs = fault === 'keeps streams of HTTP back' ? 2_000 : 30_000;
    const transport = moving(transports, { muteMs, leftAloneMs: 600_000 });
    const [near, far] = [new Client(server.url), new Client(`http://127.0.0.1:${port}`, { transport, random: () => 0.02 })];
    atEnd(() => [near, far].forEach((client) => client.close()));
    const subscription = far.subscribe('lab/**', { after: 'earliest' });
    const heard = { data: [], moves: [], errors: [] };
    subscription.addEventListener('event', ({ detail }) => heard.data.push(detail.data));
    subscription.addEventListener('move', ({ detail: { from, to, reason } }) => heard.moves.push(`${from}>${to} ${reason}`));
    subscription.addEventListener('status', ({ detail }) => { if (detail.error) heard.errors.push(detail.error.code); });
    let published = 0;
    const publish = async (count) => {
      for (let times = 0; times < count; times += 1) await near.publish(`lab/${(published += 1) % 3}`, published);
      await eventually(`event ${published}`, () => heard.data.length >= published);
      assert.deepEqual(heard.data, range(1, published));
    };
    await body({ subscription, heard, publish });
  });
}

const all = { sse, websocket: webSocket({ WebSocket }), poll: longPoll() };

for (const proxy of ['nginx', 'haproxy']) {
  provesBehind(proxy, 'strips Upgrade', 'a client that prefers a WebSocket comes over Server-Sent Events', [all.websocket, all.sse], async ({ subscription, heard, publish }) => {
    await subscription.ready();
    await publish(30);
    assert.equal(heard.moves[0], 'websocket>sse failed');
  });

  for (const [to, transports] of [['websocket', Object.values(all)], ['poll', [all.sse, all.poll]]]) {
    provesBehind(proxy, 'keeps streams of HTTP back', `a client comes over ${to}`, transports, async ({ subscription, heard, publish }) => {
      await subscription.ready();
      await publish(30);
      assert.equal(heard.moves[0], `sse>${to} mute`);
    });
  }

  for (const [name, transport] of Object.entries(all).slice(0, 2)) {
    provesBehind(proxy, 'cuts what is silent', `${name} comes back each time, and does not move`, [transport, all.poll], async ({ subscription, heard, publish }) => {
      await subscription.ready();
      for (let cut = 1; cut <= CUTS; cut += 1) {
        await publish(10);
        await eventually(`cut ${cut}`, () => heard.errors.length >= cut);
        await setTimeout(50);
      }
      await publish(10);
      assert.deepEqual(heard.moves, []);
      assert.ok(heard.errors.every((code) => code === 'connection_lost'), `${heard.errors}`);
    });
  }
}
