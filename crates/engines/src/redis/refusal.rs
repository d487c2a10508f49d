//! What the server or the way to it refused, as an error of the log.

use ::redis::{ErrorKind, RedisError};
use bellwire_shared_log::Error;

use super::script::code;
use super::server;

/// The error that is told. What is [`Error::Away`] ends the connection that had it.
pub(super) fn error(error: &RedisError) -> Error {
    let text = || error.detail().map_or_else(|| error.to_string(), ToOwned::to_owned);
    match (error.kind(), error.code().unwrap_or_default()) {
        (ErrorKind::AuthenticationFailed, _) | (_, "NOAUTH" | "WRONGPASS" | "NOPERM") => {
            Error::Refused(format!(
                "{error}; check user and password in the address, and what the user may do: EVAL, \
                 EVALSHA, SCRIPT, INFO and the commands of streams and hashes on keys `{{bellwire:…`"
            ))
        }
        (_, "OOM") => Error::Full(format!("{}; give it more memory (`maxmemory`)", text())),
        (_, "MISCONF") => Error::Full(format!("it cannot write to its disk: {}", text())),
        (_, code::FULL) => Error::Full(text()),
        (_, code::FENCED) => {
            let name = text().split(' ').next().unwrap_or_default().to_owned();
            Error::Fenced(name)
        }
        (_, code::FOREIGN | "WRONGTYPE") => Error::Unfit(format!(
            "in Redis, {}; use another name of the cluster or another database, or delete the key",
            text()
        )),
        (_, "MOVED" | "ASK" | "CROSSSLOT") => Error::Unfit(server::no_cluster()),
        (ErrorKind::Io, _) if text().contains("invalid peer certificate") => Error::Unfit(format!(
            "{error}: it is not for this address, or not of anybody who is trusted here"
        )),
        (ErrorKind::RESP3NotSupported, _) => Error::Unfit(server::too_old("before 6")),
        (ErrorKind::InvalidClientConfig, _) => {
            Error::Unfit(format!("the address of Redis cannot be used: {error}"))
        }
        (ErrorKind::Server(_), "ERR") if !text().contains("max number of clients") => {
            Error::Refused(text())
        }
        _ => Error::Away(error.to_string()),
    }
}
