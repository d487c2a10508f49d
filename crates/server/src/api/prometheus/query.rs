//! `/api/v1/query` and `/api/v1/query_range`: expressions over what rules remember.

mod queries;
mod told;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_access::Rights;
use bellwire_model::limits::QUERY_STEPS_MAX;
use bellwire_model::{Sight, Timestamp};
use bellwire_rules::{Conventions, EvaluationError, Excerpt, Plan, Question, Span};
use http::header::CONTENT_TYPE;

pub(crate) use self::queries::Queries;
use self::told::told;
use super::parameters::Parameters;
use super::{Failure, refusal};
use crate::api::App;
use crate::api::permission::Caller;

/// `GET`, `POST /api/v1/query`: an expression at one instant; where none is given, at the rules' own
/// time when it is looked at.
pub(in crate::api) async fn instant(
    State(app): State<Arc<App>>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let span = parameters.time("time")?.map(Span::at);
    answered((&app, caller.rights()), &parameters, (span, None)).await
}

/// `GET`, `POST /api/v1/query_range`: an expression at each step of a span.
pub(in crate::api) async fn range(
    State(app): State<Arc<App>>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Failure> {
    parameters.required("start")?;
    parameters.required("end")?;
    parameters.required("step")?;
    let start = parameters.time("start")?.unwrap_or(Timestamp::MIN);
    let end = parameters.time("end")?.unwrap_or(Timestamp::MIN);
    let step_ms = parameters.duration_ms("step")?.unwrap_or(1);
    if end < start {
        return Err(Failure::bad_data("`end` is before `start`"));
    }
    let span_ms = i128::from(end.as_ms()) - i128::from(start.as_ms());
    if span_ms / i128::from(step_ms) >= QUERY_STEPS_MAX as i128 {
        let text = format!("a query has at most {QUERY_STEPS_MAX} steps: take a larger `step`");
        return Err(Failure::bad_data(text));
    }
    let step = Duration::from_millis(step_ms.unsigned_abs());
    answered((&app, caller.rights()), &parameters, (Some(Span { start, end }), Some(step))).await
}

/// Evaluates beside the rules: what the expression looks at is copied between their steps, and all
/// else is done on threads that serve nobody.
///
/// Whoever has waited for as long as the query may take is answered then. The work ends soon after,
/// and so it does where the client has gone.
async fn answered(
    (app, rights): (&App, &Rights),
    parameters: &Parameters,
    (span, step): (Option<Span>, Option<Duration>),
) -> Result<Response, Failure> {
    let asked_ms = parameters.duration_ms("timeout")?;
    let timeout = app.queries.timeout(asked_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())));
    let text = parameters.required("query")?.to_owned();
    let Rights { query, alerts, .. } = rights;
    let sight = Sight { series: query.clone(), alerts: alerts.clone() };
    let (allowance, _waiter) = app.queries.allowance();
    let mut has_place = false;
    let answer = async {
        let place = app.queries.place().await;
        has_place = true;
        let (plan, text) = aside(move || plan(text)).await?;
        let conventions = Conventions::default();
        let question = Arc::new(Question { plan, conventions, span, step, sight });
        let excerpt = Excerpt::new(Arc::clone(&question), allowance);
        let reading = app.intake.excerpt(excerpt).await?;
        aside(move || {
            let _place = place;
            let (storage, span, mut allowance) = reading.finish()?;
            let answer = question.answer((&storage, span), &mut allowance)?;
            drop(storage);
            told(&answer, &text, span.end, allowance)
        })
        .await
    };
    let bytes = match tokio::time::timeout(timeout, answer).await {
        Ok(result) => result?,
        Err(_) if has_place => return Err(EvaluationError::GivenUp.into()),
        Err(_) => return Err(Failure::timeout("query timed out in query queue")),
    };
    Ok(([(CONTENT_TYPE, "application/json")], bytes).into_response())
}

/// Reads an expression: one that is full of patterns takes long.
fn plan(text: String) -> Result<(Plan, String), Failure> {
    match Plan::parse(&text) {
        Ok(plan) => Ok((plan, text)),
        Err(error) => Err(Failure::bad_data(refusal(&text, &error))),
    }
}

/// Does work on a thread that serves nobody.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::execution(error.to_string()))?
}

impl From<EvaluationError> for Failure {
    fn from(error: EvaluationError) -> Self {
        let text = error.to_string();
        match error {
            EvaluationError::GivenUp => Self::timeout(text),
            EvaluationError::NoMemory => Self::unavailable(text),
            _ => Self::execution(text),
        }
    }
}
