// Of the client what all pages load first, by its files: through its index, whatever any page uses of it
// would be loaded with that.

export { ProblemError } from '../../../clients/js/src/errors.js';
export { Follower } from '../../../clients/js/src/follower.js';
export { sse } from '../../../clients/js/src/sse.js';
export { TopicState } from '../../../clients/js/src/state.js';
export { tabs } from '../../../clients/js/src/tabs.js';
export type { TopicEvent } from '../../../clients/js/src/api.js';
export type { Status } from '../../../clients/js/src/session.js';
