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

/** The same with nothing but what a browser has. */
export function eventSource(base: URL, filter: string): string {
  const url = new URL('v1/events', base);
  url.searchParams.set('topic', filter);
  return `const events = new EventSource(${JSON.stringify(url.href)});\nevents.onmessage = ({ data }) => console.log(JSON.parse(data));\n`;
}

export function publishing(base: URL, topic: string, { data, key }: { data: string; key: string }): string {
  const headers = key ? ` -H ${quoted(`Bellwire-Key: ${key}`)}` : '';
  return `curl${headers} --data-raw ${quoted(data)} ${quoted(new URL(`v1/topics/${path(topic)}`, base).href)}`;
}
