// What a Prometheus and Bellwire have of the targets that both scrape.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../port.mjs';

/** Starts a Prometheus with this configuration and flags, to end with the test; gives its address. */
export async function startPrometheus(prometheus, config, atEnd, flags = []) {
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-prometheus-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'prometheus.yml');
  await writeFile(file, config);
  const listen = `127.0.0.1:${await freePort()}`;
  prometheus.start([
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${listen}`,
    ...flags,
  ], atEnd);
  return `http://${listen}`;
}

/** The series that Prometheus selects now, each as its labels and its value as text; none before it answers. */
export async function scrapedByThem(url, selector) {
  const query = `${url}/api/v1/query?query=${encodeURIComponent(selector)}`;
  const answer = await fetch(query).catch(() => null);
  if (!answer?.ok) return [];
  const { data } = await answer.json();
  return data.result.map(({ metric, value }) => [metric, value[1]]);
}

/** Those that Bellwire shows, each as its labels and its value. */
export async function scrapedByUs(server) {
  const { topics } = await (await fetch(`${server.url}/v1/topics`)).json();
  const samples = [];
  for (const { topic } of topics.filter(({ topic }) => topic.startsWith('samples/'))) {
    const answer = await fetch(`${server.url}/v1/topics/${topic}?limit=1000`);
    // It may have gone meanwhile.
    if (!answer.ok) continue;
    for (const { data } of (await answer.json()).events) {
      samples.push([{ __name__: topic.slice('samples/'.length), ...data.labels }, data.value]);
    }
  }
  return samples;
}
