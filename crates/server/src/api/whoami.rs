//! Who is asking.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bellwire_access::{Identity, Means};
use bellwire_model::{FilterSet, Scope};
use serde_json::{Value, json};

use super::App;
use super::permission::Caller;
use crate::access::subscribe;
use crate::allowances::Left;

/// `GET /v1/whoami`: who the caller is to this server, and what they may.
pub(super) async fn whoami(State(app): State<Arc<App>>, Caller(identity): Caller) -> Json<Value> {
    Json(shown(&app, &identity))
}

pub(super) fn shown(app: &App, identity: &Identity) -> Value {
    let Identity { means, roles, rights, .. } = identity;
    let mut shown = json!({
        "subject": identity.subject(),
        "means": means.as_str(),
        "roles": roles,
        "rights": {
            "subscribe": filters(&rights.subscribe),
            "publish": filters(&rights.publish),
            "ingest": matchers(&rights.ingest),
            "query": matchers(&rights.query),
            "alerts": matchers(&rights.alerts),
            "attend": matchers(&rights.attend),
            "post_alerts": matchers(&rights.post_alerts),
            "admin": rights.is_admin,
        },
        "limits": limits(app.access.allowances.left(identity)),
    });
    if let Means::Session(id, _) = means {
        // By this it is taken back; it opens nothing.
        shown["session"] = (**id).into();
    }
    if let Some(ends_at) = identity.ends_at() {
        shown["ends_at"] = ends_at.as_ms().into();
    }
    // Those that are very many together are not told.
    if let Ok(presence) = subscribe(rights).intersection(&app.presence)
        && !presence.is_empty()
    {
        shown["presence"] = filters(&presence).into();
    }
    shown
}

/// By their names in the configuration; what has no limit is not there.
fn limits(limits: Vec<Left>) -> Value {
    let shown = |Left { limit, most, remaining }| {
        (limit.to_owned(), json!({ "max": most, "left": remaining }))
    };
    Value::Object(limits.into_iter().map(shown).collect())
}

fn filters(filters: &FilterSet) -> Vec<&str> {
    filters.iter().map(bellwire_model::Filter::as_str).collect()
}

/// As in the configuration: `{}` is everything, an empty list nothing.
fn matchers(scope: &Scope) -> Vec<String> {
    match scope.sets() {
        None => vec!["{}".to_owned()],
        Some(any) => any.iter().map(ToString::to_string).collect(),
    }
}
