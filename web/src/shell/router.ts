// Where the visitor is: `#/page/rest?name=value`. Addresses are fragments, so that the pages work below
// any path that a proxy gives them, and the server needs to know none of them.

import { signal } from '@preact/signals';

export interface Route {
  /** The page's name; `alerts` at first. */
  page: string;
  /** What stands behind it, decoded. */
  rest: string[];
  parameters: URLSearchParams;
}

const FIRST = 'alerts';

/** Reads `#/page/a%2Fb?x=1`; what cannot be decoded is taken as it stands. */
export function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const [page, ...rest] = path.split('/').map(decoded);
  return { page: page || FIRST, rest, parameters: new URLSearchParams(query) };
}

/** Without its percent signs; what cannot be decoded, as it stands. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a page, for a link. */
export function address(page: string, rest: readonly string[] = [], parameters?: URLSearchParams): string {
  const query = parameters?.toString();
  return `#/${[page, ...rest].map(encodeURIComponent).join('/')}${query ? `?${query}` : ''}`;
}

export const route = signal<Route>(parse(typeof location === 'undefined' ? '' : location.hash));

export function startRouting(): void {
  addEventListener('hashchange', () => { route.value = parse(location.hash); });
}

/** Goes to an address; `replaces` leaves no step back, for what changes as one types. */
export function go(to: string, { replaces = false } = {}): void {
  if (replaces) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  route.value = parse(to);
}

/** Sets some parameters of the page that is shown; `null` takes one away. */
export function setParameters(changed: Record<string, string | null>): void {
  const { page, rest, parameters } = route.value;
  const next = new URLSearchParams(parameters);
  for (const [name, value] of Object.entries(changed)) {
    if (value === null || value === '') next.delete(name);
    else next.set(name, value);
  }
  go(address(page, rest, next), { replaces: true });
}
