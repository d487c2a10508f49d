// Which matchers a silence of some alerts begins with: what all of them have in common.

import type { Alert } from '@bellwire/client';

/** A text between quotes. The syntax of matchers has no other escapes that all its readers know. */
const quoted = (text: string) => `"${text.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`;

/** Names that the syntax of matchers cannot hold as they are stand in quotes. */
const nameText = (name: string) => (/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name) ? name : quoted(name));

/** `{alertname="BoilerHot",site="oslo"}`; empty where they have nothing in common. */
export function sharedMatchers(alerts: readonly Alert[]): string {
  const [first, ...others] = alerts;
  const shared = Object.entries(first?.labels ?? {}).filter(([name, value]) => others.every(({ labels }) => Object.hasOwn(labels, name) && labels[name] === value));
  return `{${shared.map(([name, value]) => `${nameText(name)}=${quoted(value)}`).join(',')}}`;
}
