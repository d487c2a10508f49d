// Hooks that follow values by their keys.

import type {
  Alert, Client, Present, QueryElement, QueryInfo, QueryState, StateOptions, TopicState,
} from '@bellwire/client';
import type { Feed, Health } from './shared.js';
import type { Store } from './store.js';
import { blank, type Blank, type HookOptions, useView } from './view.js';

export type StateHookOptions = HookOptions & Omit<StateOptions, 'signal'>;

interface Values<Value> {
  /** By key; the same map until something in it changes. Deleted keys are gone. */
  readonly values: ReadonlyMap<string, Value>;
}

export type StateView<Value = unknown> = Health & Values<Value>;

interface Answer extends Values<QueryElement> {
  /** What the query says of itself; `null` until it has come. */
  readonly info: QueryInfo | null;
}

export type QueryView = Health & Answer;

interface Presence<Shown> extends Values<Present<Shown>> {
  /** How many there are, of whom more may be there than are named; `null` until that is known. */
  readonly followers: number | null;
}

export type PresenceView<Shown = unknown> = Health & Presence<Shown>;

/** Under which key the server says how many follow a topic. */
const COUNT_KEY = '~count';

const NO_VALUES = blank({ values: new Map<string, never>() });
const NO_ANSWER = blank<Answer>({ values: new Map(), info: null });
const NOBODY = blank<Presence<never>>({ values: new Map(), followers: null });

/** The newest value of each key of a state topic; nothing is followed where it is `null`. */
export function useTopicState<Value = unknown>(topic: string | null, options: StateHookOptions = {}): StateView<Value> {
  return useValues<Value>('state', topic, options, (client, topic, options) => client.state<Value>(topic, options));
}

/** The alerts on the board, by fingerprint. */
export function useAlerts(options: StateHookOptions = {}): StateView<Alert> {
  return useValues('alerts', '', options, (client, _, options) => client.alerts(options));
}

/** Who follows a topic, of those who show themselves. */
export function usePresence<Shown = unknown>(topic: string | null, options: StateHookOptions = {}): PresenceView<Shown> {
  let before: ReadonlyMap<string, Present<Shown>>;
  let made: Presence<Shown>;
  const part = (state: TopicState<Present<Shown>>) => {
    if (state.snapshot() === before) return made;
    before = state.snapshot();
    const values = new Map(before);
    const count = values.get(COUNT_KEY) as { followers?: number } | undefined;
    values.delete(COUNT_KEY);
    return (made = { values, followers: count?.followers ?? null });
  };
  return useStates<Presence<Shown>, TopicState<Present<Shown>>>(
    'presence', topic, options, NOBODY, part, (client, topic, options) => client.presence<Shown>(topic, options),
  );
}

/** The answer of a PromQL expression, by the labels of its elements. */
export function useQuery(expression: string | null, options: StateHookOptions = {}): QueryView {
  const part = (state: QueryState) => ({ values: state.snapshot(), info: state.info });
  return useStates('query', expression, options, NO_ANSWER, part, (client, asked, options) => client.query(asked, options));
}

function useValues<Value>(
  kind: string,
  asked: string | null,
  options: StateHookOptions,
  open: (client: Client, asked: string, options: StateOptions) => TopicState<Value>,
): StateView<Value> {
  const part = (state: TopicState<Value>) => ({ values: state.snapshot() });
  return useStates<Values<Value>, TopicState<Value>>(kind, asked, options, NO_VALUES, part, open);
}

function useStates<Part extends object, State extends TopicState<any>>(
  kind: string,
  asked: string | null,
  options: StateHookOptions,
  before: Blank<Part>,
  part: (state: State) => Part,
  open: (client: Client, asked: string, options: StateOptions) => State,
): Part & Health {
  const { maxRate } = options;
  const key = asked === null ? null : JSON.stringify([kind, asked, maxRate]);
  const feed = (client: Client, changed: () => void): Feed<Part> => {
    const source = open(client, asked!, maxRate === undefined ? {} : { maxRate });
    source.addEventListener('change', changed);
    source.addEventListener('info', changed);
    return { source, part: () => part(source) };
  };
  const hold = (store: Store, key: string, look: () => void) => store.shared(key, feed, before.initial).hold(look);
  return useView({ key, hold, blank: before, isShown: true, others: [] }, options);
}
