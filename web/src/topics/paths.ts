// Where a topic is over HTTP.

/** The path of a topic; nothing where an address would take its segments for steps. */
export function reachable(topic: string): string | null {
  if (topic.split('/').some((segment) => segment === '.' || segment === '..')) return null;
  return `v1/topics/${encodeURIComponent(topic).replaceAll('%2F', '/')}`;
}
