//! `/api/v1/query` and `/api/v1/query_range`: expressions over what rules remember; and how whatever
//! else looks at that is answered.

mod told;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_access::Rights;
use bellwire_model::limits::QUERY_STEPS_MAX;
use bellwire_model::{Sight, Timestamp};
use bellwire_rules::{
    Allowance, Conventions, EvaluationError, Excerpt, Plan, Question, Span, Storage,
};
use bytes::Bytes;
use http::header::CONTENT_TYPE;

use self::told::told;
pub(super) use self::told::{Metric, written};
use super::parameters::Parameters;
use super::{Failure, refusal};
use crate::api::App;
use crate::api::permission::Caller;
use crate::turns::Asker;

/// `GET`, `POST /api/v1/query`: an expression at one instant; where none is given, at the rules' own
/// time when it is looked at.
pub(in crate::api) async fn instant(
    State(app): State<Arc<App>>,
    caller: Caller,
    asker: Asker,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let span = parameters.time("time")?.map(Span::at);
    let expression = Expression(parameters.required("query")?.to_owned());
    answered((&app, caller.rights(), asker), &parameters, (span, None), expression).await
}

/// `GET`, `POST /api/v1/query_range`: an expression at each step of a span.
pub(in crate::api) async fn range(
    State(app): State<Arc<App>>,
    caller: Caller,
    asker: Asker,
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
    let expression = Expression(parameters.required("query")?.to_owned());
    let instants = (Some(Span { start, end }), Some(step));
    answered((&app, caller.rights(), asker), &parameters, instants, expression).await
}

/// What somebody wants to know of what rules remember; all of it is worked out on threads that serve
/// nobody.
pub(super) trait Inquiry: Send + 'static {
    /// What it looks at. To read an expression that is full of patterns takes long.
    fn plan(&self) -> Result<Plan, Failure>;

    /// The answer, of what has been copied.
    fn told(
        &self,
        question: &Question,
        copied: (Storage, Span),
        allowance: Allowance,
    ) -> Result<Bytes, Failure>;
}

/// What an expression comes to.
struct Expression(String);

impl Inquiry for Expression {
    fn plan(&self) -> Result<Plan, Failure> {
        Plan::parse(&self.0).map_err(|error| Failure::bad_data(refusal(&self.0, &error)))
    }

    fn told(
        &self,
        question: &Question,
        (storage, span): (Storage, Span),
        mut allowance: Allowance,
    ) -> Result<Bytes, Failure> {
        let answer = question.answer((&storage, span), &mut allowance)?;
        drop(storage);
        told(&answer, &self.0, span.end, allowance)
    }
}

/// Evaluates beside the rules: what the expression looks at is copied between their steps, and all
/// else is done on threads that serve nobody.
///
/// Whoever has waited for as long as the query may take is answered then. The work ends soon after,
/// and so it does where the client has gone.
pub(super) async fn answered(
    (app, rights, asker): (&App, &Rights, Asker),
    parameters: &Parameters,
    (span, step): (Option<Span>, Option<Duration>),
    inquiry: impl Inquiry,
) -> Result<Response, Failure> {
    let asked_ms = parameters.duration_ms("timeout")?;
    let timeout = app.queries.timeout(asked_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())));
    let Rights { query, alerts, .. } = rights;
    let sight = Sight { series: query.clone(), alerts: alerts.clone() };
    let (allowance, _waiter) = app.queries.allowance();
    let mut has_place = false;
    let answer = async {
        let place = app.queries.place(asker).await;
        has_place = true;
        let (plan, inquiry) = aside(move || Ok((inquiry.plan()?, inquiry))).await?;
        let conventions = Conventions::default();
        let question = Arc::new(Question { plan, conventions, span, step, sight });
        let excerpt = Excerpt::new(Arc::clone(&question), allowance);
        let reading = app.intake.excerpt(excerpt).await?;
        aside(move || {
            let _place = place;
            let (storage, span, allowance) = reading.finish()?;
            inquiry.told(&question, (storage, span), allowance)
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
