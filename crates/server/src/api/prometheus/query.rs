//! `/api/v1/query` and `/api/v1/query_range`: expressions over what rules remember.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_model::limits::QUERY_STEPS_MAX;
use bellwire_model::{Labels, Timestamp};
use bellwire_process::clock;
use bellwire_rules::{
    Answer, Conventions, Element, NoteKind, Plan, Series, Span, Storage, Value, plain_text, query,
    query_range,
};
use serde_json::{Map, json};

use super::parameters::Parameters;
use super::{Failure, refusal};
use crate::api::App;

/// `GET`, `POST /api/v1/query`: an expression at one instant.
pub(in crate::api) async fn instant(
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let time = parameters.time("time")?.unwrap_or_else(clock::now);
    let text = parameters.required("query")?;
    let answer = evaluate(&app, plan(text)?, move |plan, storage| {
        query(plan, storage, &Conventions::default(), time)
    });
    let answer = answer.await?;
    Ok(app.large_reads.run(|| told(answer, text, time)).await?)
}

/// `GET`, `POST /api/v1/query_range`: an expression at each step of a span.
pub(in crate::api) async fn range(
    State(app): State<Arc<App>>,
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
    let text = parameters.required("query")?;
    let answer = evaluate(&app, plan(text)?, move |plan, storage| {
        query_range(plan, storage, &Conventions::default(), (Span { start, end }, step))
    });
    let answer = answer.await?;
    Ok(app.large_reads.run(|| told(answer, text, end)).await?)
}

fn plan(text: &str) -> Result<Plan, Failure> {
    Plan::parse(text).map_err(|error| Failure::bad_data(refusal(text, &error)))
}

/// Evaluates beside the rules: they are held up only until what the expression looks at is copied.
/// Of more queries than [`QUERIES_MAX`](bellwire_model::limits::QUERIES_MAX) some wait, since each
/// has its copy.
async fn evaluate<E: std::fmt::Display + Send + 'static>(
    app: &App,
    plan: Plan,
    evaluate: impl FnOnce(&Plan, &Storage) -> Result<Answer, E> + Send + 'static,
) -> Result<Answer, Failure> {
    let place = Arc::clone(&app.queries).acquire_owned().await;
    let place = place.expect("the semaphore is never closed");
    let plan = Arc::new(plan);
    let of_engine = Arc::clone(&plan);
    let storage = app.intake.look(move |engine| engine.excerpt(&of_engine)).await?;
    let evaluate = move || {
        // Held to the end, though the client may be gone.
        let _place = place;
        evaluate(&plan, &storage)
    };
    let answer = tokio::task::spawn_blocking(evaluate).await;
    answer
        .map_err(|error| Failure::execution(error.to_string()))?
        .map_err(|error| Failure::execution(error.to_string()))
}

/// As its clients read it, written out.
fn told(answer: Answer, text: &str, time: Timestamp) -> Response {
    let Answer { value, notes } = answer;
    let (kind, result) = match value {
        Value::Scalar(value) => ("scalar", point((time, value))),
        Value::Text(text) => ("string", json!([seconds(time), text])),
        Value::Vector(elements) => {
            ("vector", elements.iter().map(|element| sample(element, time)).collect())
        }
        Value::Matrix(series) => ("matrix", series.iter().map(values).collect()),
    };
    let mut body = json!({
        "status": "success",
        "data": { "resultType": kind, "result": result },
    });
    for (member, kind) in [("warnings", NoteKind::Warning), ("infos", NoteKind::Info)] {
        let texts = notes.iter().filter(|note| note.kind == kind);
        let texts: Vec<String> = texts.map(|note| note.in_expression(text)).collect();
        if !texts.is_empty() {
            body[member] = json!(texts);
        }
    }
    Json(body).into_response()
}

fn sample(element: &Element, time: Timestamp) -> serde_json::Value {
    json!({ "metric": labels(&element.labels), "value": point((time, element.value)) })
}

fn values(series: &Series) -> serde_json::Value {
    let values = series.values.iter().map(|value| point(*value));
    json!({ "metric": labels(&series.labels), "values": values.collect::<Vec<_>>() })
}

pub(super) fn labels(labels: &Labels) -> serde_json::Value {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>().into()
}

fn point((time, value): (Timestamp, f64)) -> serde_json::Value {
    json!([seconds(time), plain_text(value)])
}

/// Whole seconds without a fraction, as Prometheus writes them.
fn seconds(time: Timestamp) -> serde_json::Value {
    match time.as_ms() % 1000 {
        0 => json!(time.as_ms() / 1000),
        _ => json!(time.as_ms() as f64 / 1000.0),
    }
}
