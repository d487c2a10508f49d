//! The shared log on engines that users run: NATS JetStream and Redis.
//!
//! Nothing outside of this crate knows either: [`connect`] gives a [`SharedLog`].
//!
//! [`connect`]: connect
//! [`SharedLog`]: bellwire_shared_log::SharedLog
