// Java's own `HttpClient`, where there is a JDK.

import assert from 'node:assert/strict';
import { eventually, publish, range } from './bellwire.mjs';
import { Tool } from './tool.mjs';

const javac = new Tool('javac', 'JAVAC_BIN');
const java = new Tool('java', 'JAVA_BIN');

javac.proves("Java's HttpClient gets events as they come", async (server, atEnd) => {
  const following = java.start(['Follow.java', `${server.url}/v1/events?topic=lab/**`], atEnd);
  const shows = (text) =>
    eventually(`${text} in ${following.output()}`, () => following.output().includes(text));
  await shows('event: ready');
  assert.match(following.output(), /^200 HTTP_1_1$/m);
  for (const count of range(1, 3)) {
    // The next one is published only after this one was shown.
    await publish(server, 'lab/counter', [count]);
    await shows(`"data":{"count":${count}}`);
  }
});
