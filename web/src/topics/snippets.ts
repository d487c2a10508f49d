// What one types to follow, read and publish the same elsewhere.

/** A text for a shell, whatever is in it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const path = (topic: string): string => encodeURIComponent(topic).replaceAll('%2F', '/');

export function curl(base: URL, filter: string): string {
  return `curl -N -G ${quoted(new URL('v1/events', base).href)} --data-urlencode ${quoted(`topic=${filter}`)}`;
}

export function javascript(base: URL, filter: string): string {
  const text = JSON.stringify(filter);
  return `import { Client } from '@bellwire/client';\n\nconst client = new Client(${JSON.stringify(base.href)});\nfor await (const event of client.subscribe(${text})) console.log(event);\n`;
}

/** Types of the events on topics of the server's own, which `onmessage` does not get. */
const TYPES = [
  'alert.firing', 'alert.data_lost', 'alert.resolved', 'alert.pending', 'alert.inactive', 'alert.acknowledged', 'alert.unacknowledged',
  'alert.assigned', 'alert.unassigned', 'alert.commented', 'notification.sent', 'notification.failed',
];

/** The same with nothing but what a browser has. An event with a type comes to listeners of that type alone. */
export function eventSource(base: URL, filter: string): string {
  const url = new URL('v1/events', base);
  url.searchParams.set('topic', filter);
  const mayBeAlerts = /^(?:alerts|\*\*?)(?:\/|$)/.test(filter);
  const types = mayBeAlerts ? TYPES.map((type) => `'${type}'`).join(', ') : `/* 'type', … */`;
  return `const events = new EventSource(${JSON.stringify(url.href)});
const show = ({ data }) => console.log(JSON.parse(data));
events.onmessage = show;
// Events with a type come to listeners of that type alone.
for (const type of [${types}]) events.addEventListener(type, show);
`;
}

export function publishing(base: URL, topic: string, { data, key, isText = false }: { data: string; key: string; isText?: boolean }): string {
  // Without it what looks like JSON is taken for that.
  const type = isText ? ` -H ${quoted('Content-Type: text/plain; charset=utf-8')}` : '';
  const headers = key ? ` -H ${quoted(`Bellwire-Key: ${key}`)}` : '';
  return `curl${type}${headers} --data-raw ${quoted(data)} ${quoted(new URL(`v1/topics/${path(topic)}`, base).href)}`;
}
