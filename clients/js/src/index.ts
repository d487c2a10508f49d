// What applications use. Each part stands alone: what is not imported is not in the bundle.
// Its types name `Disposable`, which not every `lib` has: they bring it along.

/// <reference lib="esnext.disposable" preserve="true" />

export * from './api.js';
export type { Clock, Cancel } from './clock.js';
export { Client } from './client.js';
export type { ClientOptions, DeleteOptions, PublishOptions } from './client.js';
export { echo } from './echo.js';
export type { Echo, Echoing } from './echo.js';
export { BellwireError, ConnectionError, ProblemError, ProtocolError, TokenError, UnsentError } from './errors.js';
export { Follower } from './follower.js';
export type { FollowerOptions, Present, StateOptions, SubscribeOptions } from './follower.js';
export type { SendOptions } from './outbox.js';
export { moving } from './moves.js';
export type { MovesOptions, MovingTransport } from './moves.js';
export { SseParser } from './parser.js';
export type { SseEvent, SseHandlers } from './parser.js';
export { longPoll } from './poll.js';
export type { Status, StatusChange } from './session.js';
export type { Broadcasts, Browser } from './shared.js';
export { sse } from './sse.js';
export { QueryState, TopicState } from './state.js';
export type { Change, QueryElement, QueryInfo, StateEvents } from './state.js';
export { Subscription } from './subscription.js';
export type { CursorStore, SubscriptionEvents } from './subscription.js';
export { tabs } from './tabs.js';
export type { TabsOptions } from './tabs.js';
export type { TokenSource } from './token.js';
export type { Connection, Item, Move, MoveReason, Opening, Sink, Transport } from './transport.js';
export { webSocket } from './websocket.js';
export type { WebSocketOptions } from './websocket.js';
