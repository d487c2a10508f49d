// An application with each of the hooks, which tests look at and change: `stage` says what it shows.

import { Component, StrictMode, useEffect, useSyncExternalStore } from 'react';
import { sse, tabs } from '@bellwire/client';
import {
  BellwireProvider, useAlerts, useClient, useConnection, useEvents, usePresence, useQuery, useTopicState,
} from '@bellwire/react';

/** What the parts below did: counts by name, and lists. */
export const record = (globalThis.record = { renders: {}, changes: {}, heard: [], gaps: [], client: null });

function rendered(name) {
  record.renders[name] = (record.renders[name] ?? 0) + 1;
}

/** Counts how often what a part is shown is another object. */
function useChanges(name, values) {
  useEffect(() => {
    record.changes[name] = (record.changes[name] ?? 0) + 1;
  }, [name, values]);
}

/** What a part shows, for tests to read. */
function Shown({ id, children }) {
  return <pre id={id}>{JSON.stringify(children)}</pre>;
}

const pairs = (values, of) => [...values].map(([key, value]) => [key, of(value)]).sort();

const PARTS = {
  state({ id }) {
    const { values, status } = useTopicState('samples/temperature');
    useChanges(id, values);
    return <Shown id={id}>{{ status, values: pairs(values, ({ value }) => value) }}</Shown>;
  },
  events({ id, limit, filters = ['news', 'chat/**'] }) {
    rendered(id);
    // A list and options that are others each time.
    const { events, status, error, gap } = useEvents(filters && [...filters], { limit, after: 'earliest' });
    return <Shown id={id}>{{ status, error: error?.code, gap: gap?.reason, data: events.map(({ data }) => data) }}</Shown>;
  },
  listener({ id }) {
    rendered(id);
    const onGap = (gap) => record.gaps.push(gap.reason);
    useEvents(['chat/**', 'news'], ({ data }) => record.heard.push(data), { after: 'earliest', onGap });
    return null;
  },
  throwing({ id }) {
    const { status } = useEvents('chat//wrong', { throws: true });
    return <Shown id={id}>{{ status }}</Shown>;
  },
  query({ id, expression = 'sum by (site) (temperature) > 90' }) {
    const { values, info, status } = useQuery(expression);
    useChanges(id, values);
    return <Shown id={id}>{{ status, mode: info?.mode, values: pairs(values, ({ value }) => value) }}</Shown>;
  },
  alerts({ id }) {
    const { values, status } = useAlerts();
    useChanges(id, values);
    return <Shown id={id}>{{ status, names: [...values.values()].map(({ labels, state }) => `${labels.alertname} ${state}`) }}</Shown>;
  },
  presence({ id }) {
    const { values, followers } = usePresence('rooms/a');
    useChanges(id, values);
    return <Shown id={id}>{{ followers, shown: [...values.values()].map(({ shown }) => shown) }}</Shown>;
  },
  present({ name }) {
    useEvents('rooms/a', () => {}, { present: { name }, presentId: name });
    return null;
  },
  connection({ id }) {
    const { status, error, retryInMs } = useConnection();
    return <Shown id={id}>{{ status, error: error?.code, waits: retryInMs !== null }}</Shown>;
  },
  client() {
    const client = useClient();
    useEffect(() => {
      record.client = client;
    }, [client]);
    return null;
  },
};

/** For an application whose hooks share a connection. */
const SHARING = { transport: tabs(sse) };

class Boundary extends Component {
  state = { error: null };

  static getDerivedStateFromError(error) {
    return { error };
  }

  render() {
    const { error } = this.state;
    return error ? <pre id="thrown">{error.code ?? error.message}</pre> : this.props.children;
  }
}

/** What is shown: parts by name with their properties, and the provider's own. */
export function stageOf(first) {
  let now = first;
  const looks = new Set();
  return {
    get: () => now,
    set(next) {
      now = { ...now, ...next };
      looks.forEach((look) => look());
    },
    watch(look) {
      looks.add(look);
      return () => looks.delete(look);
    },
  };
}

export function App({ stage }) {
  const { parts, provider, token, isSharing } = useSyncExternalStore(stage.watch, stage.get, stage.get);
  // A function that is another each time.
  const shown = token === undefined ? {} : { token: typeof token === 'string' ? token : () => token.inFunction };
  return (
    <StrictMode>
      <BellwireProvider {...provider} {...shown} {...(isSharing ? { options: SHARING } : {})}>
        {parts.map(({ part, id = part, ...properties }) => {
          const Part = PARTS[part];
          return <Boundary key={id}><Part id={id} {...properties} /></Boundary>;
        })}
      </BellwireProvider>
    </StrictMode>
  );
}
