//! Problems as answers of hyper's.

use axum::response::{IntoResponse, Response};
use bellwire_wire::problem::Problem;

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
        (problem.status(), problem.headers(), problem.json()).into_response()
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
