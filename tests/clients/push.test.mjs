// Push messages as push services and browsers see them: verified by Node, and decrypted by the package
// `http_ece`, which others wrote.

import assert from 'node:assert/strict';
import { createECDH, createPublicKey, randomBytes, verify } from 'node:crypto';
import ece from 'http_ece';
import { eventually, provesWithPushService } from './bellwire.mjs';

const ROLES = `
[[access.role]]
name = "team"
alerts = ['{team="{sub}"}']
post_alerts = ['{team="{sub}"}']
`;

/** What a browser has of a subscription. */
class Browser {
  #keys = createECDH('prime256v1');
  #secret = randomBytes(16);

  constructor(service, name) {
    this.#keys.generateKeys();
    this.path = `/push/${name}`;
    this.endpoint = `${service.origin}${this.path}`;
  }

  /** As `PushSubscription.toJSON()` gives it. */
  toJSON() {
    const p256dh = this.#keys.getPublicKey('base64url');
    const auth = this.#secret.toString('base64url');
    return { endpoint: this.endpoint, expirationTime: null, keys: { p256dh, auth } };
  }

  read({ body }) {
    const how = { version: 'aes128gcm', privateKey: this.#keys, authSecret: this.#secret };
    return JSON.parse(ece.decrypt(body, how).toString());
  }
}

/** Speaks to the server, with a key where there is one. */
function caller(server, key = null) {
  return async (method, path, body) => {
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    if (body !== undefined) headers['content-type'] = 'application/json';
    const answer = await fetch(`${server.url}${path}`, { method, headers, body: JSON.stringify(body) });
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.includes('json');
    return { status: answer.status, body: isJson ? JSON.parse(text) : text };
  };
}

const subscribe = (ask, browser, more = {}) =>
  ask('POST', '/v1/push/subscriptions', { subscription: browser, ...more });

const post = (ask, ...labels) => ask('POST', '/api/v2/alerts', labels.map((labels) => ({ labels })));

/** What the authorization of a message says, once it is verified. */
function claims({ headers }) {
  const [, token, key] = headers.authorization.match(/^vapid t=([^,]+), k=(.+)$/);
  const point = Buffer.from(key, 'base64url');
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString('base64url'));
  const publicKey = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
  const [head, body, signature] = token.split('.');
  const signed = Buffer.from(`${head}.${body}`);
  const how = { key: publicKey, dsaEncoding: 'ieee-p1363' };
  assert.ok(verify('sha256', signed, how, Buffer.from(signature, 'base64url')), 'the signature');
  return { key, ...JSON.parse(Buffer.from(body, 'base64url')) };
}

provesWithPushService('a burst is one message, which the browser alone reads', {}, async (server, _, { service }) => {
  const ask = caller(server);
  const { body: terms } = await ask('GET', '/v1/push');
  assert.equal(terms.enabled, true);
  const browser = new Browser(service, 'a');
  const wanted = { severities: ['critical'], matchers: ['site=~"oslo|bergen"'], language: 'de' };
  const made = await subscribe(ask, browser, wanted);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.equal(made.body.service, 'localhost');
  assert.ok(!JSON.stringify(made.body).includes('/push/a'), 'where it is reached is a secret');
  assert.equal((await subscribe(ask, browser, wanted)).status, 200, 'a browser has one');

  const critical = (alertname, site) => ({ alertname, site, severity: 'critical' });
  await post(ask, critical('Hot', 'oslo'), critical('Wet', 'bergen'), critical('Far', 'rome'),
    { alertname: 'Dull', site: 'oslo', severity: 'warning' });
  const message = await service.next();
  assert.equal(message.path, browser.path);
  const { ttl, urgency, topic, 'content-encoding': encoding } = message.headers;
  assert.deepEqual({ ttl, urgency, topic, encoding },
    { ttl: '43200', urgency: 'high', topic: 'alerts', encoding: 'aes128gcm' });
  const { key, aud, exp, sub } = claims(message);
  assert.deepEqual({ key, aud }, { key: terms.public_key, aud: service.origin });
  assert.ok(exp > Date.now() / 1000 && exp < Date.now() / 1000 + 86_400, `${exp}`);
  assert.match(sub, /^mailto:|^https:/);
  const { language, firing, news, more } = browser.read(message);
  assert.deepEqual({ language, firing, more }, { language: 'de', firing: { critical: 2 }, more: 0 });
  assert.deepEqual(news.map(({ alertname, state }) => `${alertname} ${state}`), ['Hot firing', 'Wet firing']);
  assert.deepEqual(news[0].labels, { site: 'oslo' });
  assert.equal(service.waiting, 0);
});

provesWithPushService('what is put off is tried again, and a browser that is gone is forgotten', {},
  async (server, _, { service }) => {
    const ask = caller(server);
    const browser = new Browser(service, 'a');
    const { body: { id } } = await subscribe(ask, browser);
    service.answer = { status: 429, headers: { 'retry-after': '1' } };
    assert.equal((await ask('POST', `/v1/push/subscriptions/${id}/test`)).status, 202);
    assert.equal(browser.read(await service.next()).about, 'test');
    const listed = async () => (await ask('GET', '/v1/push/subscriptions')).body.subscriptions;
    const failing = await eventually('the failure', async () => (await listed())[0].failing);
    assert.match(failing.reason, /429/);
    await post(ask, { alertname: 'Hot' });
    service.answer = { status: 410, headers: {} };
    const { news } = browser.read(await service.next());
    assert.deepEqual(news.map(({ alertname }) => alertname), ['Hot']);
    await eventually('the end', async () => (await listed()).length === 0);
  });

provesWithPushService('nothing is told in the name of whose key was taken back',
  { roles: ROLES, subjects: { red: ['team'], blue: ['team'], operator: ['admin'] } },
  async (server, _, { service, keys }) => {
    const [red, blue, operator] = ['red', 'blue', 'operator'].map((name) => caller(server, keys[name]));
    const browsers = { red: new Browser(service, 'red'), blue: new Browser(service, 'blue') };
    const { body: { id } } = await subscribe(red, browsers.red);
    await subscribe(blue, browsers.blue);
    assert.deepEqual((await blue('GET', '/v1/push/subscriptions')).body.subscriptions.length, 1);
    assert.equal((await blue('DELETE', `/v1/push/subscriptions/${id}`)).status, 404);
    assert.equal((await caller(server)('GET', '/v1/push')).status, 401);

    // Each is told of what they see.
    await post(operator, { alertname: 'Hot', team: 'red' }, { alertname: 'Wet', team: 'blue' });
    for (const message of [await service.next(), await service.next()]) {
      const name = message.path.split('/').at(-1);
      const told = browsers[name].read(message).news.map(({ alertname }) => alertname);
      assert.deepEqual(told, [{ red: 'Hot', blue: 'Wet' }[name]]);
    }
    const { body: { keys: listed } } = await operator('GET', '/v1/keys');
    const of = listed.find(({ subject }) => subject === 'red').id;
    assert.equal((await operator('DELETE', `/v1/keys/${of}`)).status, 204);
    await post(operator, { alertname: 'Hotter', team: 'red' }, { alertname: 'Wetter', team: 'blue' });
    const message = await service.next();
    assert.equal(message.path, browsers.blue.path);
    const figure = /^bellwire_push_subscriptions_ended_total 1$/m;
    await eventually('the end', async () => figure.test((await operator('GET', '/metrics')).body));
    assert.equal(service.waiting, 0);
  });

provesWithPushService('what no browser has asked for is refused', {}, async (server, _, { service }) => {
  const ask = caller(server);
  const usual = new Browser(service, 'a').toJSON();
  const wrong = [
    [{}, /subscription/],
    [{ subscription: { ...usual, endpoint: 'http://localhost/' } }, /https/],
    [{ subscription: { ...usual, endpoint: 'https://me@localhost/' } }, /https/],
    [{ subscription: { ...usual, keys: { ...usual.keys, p256dh: 'AAAA' } } }, /p256dh/],
    [{ subscription: usual, matchers: ['site'] }, /matchers/],
    [{ subscription: usual, severity: 'critical' }, /severity/],
  ];
  for (const [body, reason] of wrong) {
    const refused = await ask('POST', '/v1/push/subscriptions', body);
    assert.equal(refused.status, 400, JSON.stringify(refused.body));
    assert.equal(refused.body.code, 'body_invalid');
    assert.match(refused.body.detail, reason);
  }
  const nobody = await ask('DELETE', '/v1/push/subscriptions/none');
  assert.deepEqual([nobody.status, nobody.body.code], [404, 'not_found']);
});
