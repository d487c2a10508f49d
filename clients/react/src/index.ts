// What applications use.

export { useConnection } from './connection.js';
export { useEvents } from './events.js';
export type { EventListenerOptions, EventsOptions, EventsView } from './events.js';
export { BellwireProvider, useClient } from './provider.js';
export type { BellwireProviderProps } from './provider.js';
export { useAlerts, usePresence, useQuery, useTopicState } from './states.js';
export type { PresenceView, QueryView, StateHookOptions, StateView } from './states.js';
export type { Health } from './shared.js';
