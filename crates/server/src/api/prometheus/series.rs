//! `/api/v1/series`, `/api/v1/labels` and `/api/v1/label/{name}/values`: which series rules remember,
//! so that Grafana can complete what somebody types.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bellwire_model::{Labels, Timestamp};
use bellwire_rules::{Allowance, Plan, Question, Span, Storage};
use bytes::Bytes;
use serde::Serialize;

use super::parameters::Parameters;
use super::query::{Inquiry, Metric, answered, written};
use super::{Failure, refusal};
use crate::api::App;
use crate::api::permission::Caller;
use crate::turns::Asker;

/// What selects all series: each has a name.
const ALL: &str = r#"{__name__!=""}"#;

/// `GET`, `POST /api/v1/series`: the labels of each series that one of `match[]` selects.
pub(in crate::api) async fn series(
    State(app): State<Arc<App>>,
    caller: Caller,
    asker: Asker,
    parameters: Parameters,
) -> Result<Response, Failure> {
    parameters.required("match[]")?;
    listed((&app, caller, asker), &parameters, Wanted::Series).await
}

/// `GET`, `POST /api/v1/labels`: the names of labels.
pub(in crate::api) async fn labels(
    State(app): State<Arc<App>>,
    caller: Caller,
    asker: Asker,
    parameters: Parameters,
) -> Result<Response, Failure> {
    listed((&app, caller, asker), &parameters, Wanted::Names).await
}

/// `GET /api/v1/label/{name}/values`: the values of one label.
pub(in crate::api) async fn values(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    caller: Caller,
    asker: Asker,
    parameters: Parameters,
) -> Result<Response, Failure> {
    listed((&app, caller, asker), &parameters, Wanted::Values(name)).await
}

async fn listed(
    (app, caller, asker): (&App, Caller, Asker),
    parameters: &Parameters,
    wanted: Wanted,
) -> Result<Response, Failure> {
    let (start, end) = (parameters.time("start")?, parameters.time("end")?);
    let span = Span { start: start.unwrap_or(Timestamp::MIN), end: end.unwrap_or(Timestamp::MAX) };
    if span.end < span.start {
        return Err(Failure::bad_data("`end` is before `start`"));
    }
    let selectors = parameters.all("match[]").map(str::to_owned).collect();
    let listing = Listing { selectors, wanted, limit: parameters.count("limit")? };
    // Without one it is of the rules' own time.
    let span = start.or(end).map(|_| span);
    answered((app, caller.rights(), asker), parameters, (span, None), listing).await
}

/// What is listed of series.
enum Wanted {
    Series,
    Names,
    Values(String),
}

/// A list of what there is.
struct Listing {
    /// Without any, it is of all series.
    selectors: Vec<String>,
    wanted: Wanted,
    /// How much is told at most.
    limit: Option<usize>,
}

impl Inquiry for Listing {
    fn plan(&self) -> Result<Plan, Failure> {
        let mut plan: Option<Plan> = None;
        let given = self.selectors.iter().map(String::as_str);
        for text in given.chain(self.selectors.is_empty().then_some(ALL)) {
            let read = plan.map_or_else(|| Plan::parse(text), |before| before.with_selector(text));
            let read = read.map_err(|error| Failure::bad_data(refusal(text, &error)))?;
            if !read.is_selector() {
                let wrong =
                    format!("`match[]` is a selector such as `up{{job=\"a\"}}`, not `{text}`");
                return Err(Failure::bad_data(wrong));
            }
            plan = Some(read);
        }
        plan.ok_or_else(|| Failure::bad_data("the parameter `match[]` is missing"))
    }

    fn told(
        &self,
        question: &Question,
        (storage, _): (Storage, Span),
        mut allowance: Allowance,
    ) -> Result<Bytes, Failure> {
        let series = question.series(&storage, &mut allowance)?;
        drop(storage);
        match &self.wanted {
            Wanted::Series => self.first(series.into_iter().map(Metric), allowance),
            Wanted::Names => {
                let names = series.iter().flat_map(Labels::iter).map(|(name, _)| name);
                self.first(names.collect::<BTreeSet<_>>(), allowance)
            }
            Wanted::Values(name) => {
                let values = series.iter().filter_map(|series| series.get(name));
                self.first(values.collect::<BTreeSet<_>>(), allowance)
            }
        }
    }
}

impl Listing {
    /// As many as may be told.
    fn first<T: Serialize>(
        &self,
        all: impl IntoIterator<Item = T>,
        allowance: Allowance,
    ) -> Result<Bytes, Failure> {
        let mut all = all.into_iter();
        let data: Vec<T> = match self.limit {
            Some(limit) => all.by_ref().take(limit).collect(),
            None => all.by_ref().collect(),
        };
        // Prometheus' own words.
        let warning = all.next().map(|_| "results truncated due to limit");
        let warnings = warning.into_iter().collect();
        written(&Success { status: "success", data, warnings }, allowance)
    }
}

#[derive(Serialize)]
struct Success<T> {
    status: &'static str,
    data: Vec<T>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
}
