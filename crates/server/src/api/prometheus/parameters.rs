//! What a request says, in its query or in a form.

use axum::extract::{FromRequest, Request};
use bellwire_model::limits::{BODY_TIMEOUT, PARAMETERS_BYTES_MAX};
use bellwire_model::{Timestamp, duration};
use http::{Method, header};

use super::Failure;

/// Parameters by name; one may occur several times.
#[derive(Debug, Default)]
pub(in crate::api) struct Parameters(Vec<(String, String)>);

impl<S: Sync> FromRequest<S> for Parameters {
    type Rejection = Failure;

    /// The form's parameters come first, as in Go.
    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        let mut pairs = Vec::new();
        if request.method() == Method::POST && is_form {
            let body = axum::body::to_bytes(request.into_body(), PARAMETERS_BYTES_MAX);
            let body = tokio::time::timeout(BODY_TIMEOUT, body).await;
            let body = body.map_err(|_| Failure::bad_data("the form did not arrive in time"))?;
            let body = body.map_err(|error| Failure::bad_data(error.to_string()))?;
            let form = std::str::from_utf8(&body);
            let form = form.map_err(|_| Failure::bad_data("the form is not UTF-8"))?;
            bellwire_shards::check_query(form)
                .map_err(|problem| Failure::bad_data(problem.detail()))?;
            pairs.extend(url::form_urlencoded::parse(form.as_bytes()).into_owned());
        }
        pairs.extend(url::form_urlencoded::parse(query.as_bytes()).into_owned());
        Ok(Self(pairs))
    }
}

impl Parameters {
    /// The first value of a name; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// All values of a name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// A value that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.get(name)
            .ok_or_else(|| Failure::bad_data(format!("the parameter `{name}` is missing")))
    }

    /// A number of things; none where it is 0, as with Prometheus.
    pub(super) fn count(&self, name: &str) -> Result<Option<usize>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let refusal = |_| Failure::bad_data(format!("`{name}` is a number, not `{text}`"));
        text.parse().map(|count| (count > 0).then_some(count)).map_err(refusal)
    }

    /// A time: seconds since 1970, or RFC 3339.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let time = match text.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() => {
                Some(Timestamp::from_ms((seconds * 1000.0) as i64))
            }
            _ => Timestamp::from_rfc3339(text),
        };
        let refusal = || {
            Failure::bad_data(format!("`{name}` is seconds since 1970 or RFC 3339, not `{text}`"))
        };
        time.map(Some).ok_or_else(refusal)
    }

    /// A duration: seconds, or as Prometheus writes it.
    pub(super) fn duration_ms(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let ms = match text.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() => Some((seconds * 1000.0) as i64),
            _ => duration::parse(text).map(|duration| duration.as_millis() as i64),
        };
        let refusal =
            || Failure::bad_data(format!("`{name}` is seconds or such as `5m`, not `{text}`"));
        ms.filter(|ms| *ms > 0).map(Some).ok_or_else(refusal)
    }
}
