// Of the client what the lab uses, by its files: see `stores/client.ts`.

export { Client } from '../../../clients/js/src/client.js';
export { ProblemError } from '../../../clients/js/src/errors.js';
export { moving, type MovingTransport } from '../../../clients/js/src/moves.js';
export { longPoll } from '../../../clients/js/src/poll.js';
export { sse } from '../../../clients/js/src/sse.js';
export type { Subscription } from '../../../clients/js/src/subscription.js';
export type { Transport } from '../../../clients/js/src/transport.js';
export { webSocket } from '../../../clients/js/src/websocket.js';
