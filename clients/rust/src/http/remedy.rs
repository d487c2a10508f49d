//! What to do about an error.

use ::http::StatusCode;

use crate::error::Error;

/// Whether another try helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// It does not.
    None,
    /// It may.
    Later,
    /// It may with a newer token.
    Token,
}

pub(crate) fn remedy(error: &Error) -> Remedy {
    match error {
        Error::Problem(problem) => of_status(problem.status),
        Error::Connection(_) | Error::Protocol(_) | Error::Token(_) => Remedy::Later,
        Error::Tls(_) | Error::Unsent(_) | Error::Displaced | Error::Argument(_) => Remedy::None,
    }
}

fn of_status(status: StatusCode) -> Remedy {
    match status.as_u16() {
        401 | 403 => Remedy::Token,
        408 | 425 | 429 | 500.. => Remedy::Later,
        _ => Remedy::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_refusals_are_worth_another_try() {
        for (status, expected) in [
            (304, Remedy::None),
            (400, Remedy::None),
            (401, Remedy::Token),
            (403, Remedy::Token),
            (404, Remedy::None),
            (408, Remedy::Later),
            (425, Remedy::Later),
            (429, Remedy::Later),
            (431, Remedy::None),
            (500, Remedy::Later),
            (503, Remedy::Later),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(of_status(status), expected, "{status}");
        }
    }
}
