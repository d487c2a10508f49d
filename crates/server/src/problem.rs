//! Problems as answers of hyper's.

use axum::response::{IntoResponse, Response};
use bellwire_wire::problem::{Code, Problem};

/// A request that is refused, or has come to nothing.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Problem);

impl<E: Into<Problem>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let response = (problem.status(), problem.headers(), problem.json()).into_response();
        if problem.code == Code::Forbidden {
            return Forbidden(problem).noted_with(response);
        }
        response
    }
}

/// What whoever asks may not do, all of it or a part. It goes with the answer as far as the audit.
#[derive(Clone, Debug)]
pub(crate) struct Forbidden(pub(crate) Problem);

impl Forbidden {
    /// Notes it with the answer that tells of it.
    pub(crate) fn noted_with(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use bellwire_wire::problem::Code;

    use crate::golden;

    #[test]
    fn the_reference_lists_every_code() {
        let mut codes = Code::ALL.to_vec();
        codes.sort_by_key(|code| code.status());
        let row = |code: Code| {
            [code.status().to_string(), format!("`{}`", code.as_str()), code.title().to_owned()]
        };
        let rows: Vec<_> = codes.into_iter().map(row).collect();
        let table = golden::table(["status", "code", "title"], rows);
        for file in ["docs/protocol.md", "docs/reference/problems.md"] {
            golden::check(file, "problems", &table);
        }
    }
}
