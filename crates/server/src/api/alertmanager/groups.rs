//! `/api/v2/alerts/groups`: the alerts that fire, as the routes group them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use bellwire_access::Rights;
use bellwire_alerts::route::RouteId;
use bellwire_model::Labels;
use bellwire_process::clock;
use serde_json::{Value, json};

use super::alerts::{Viewer, labels_json};
use super::filter::Query;
use super::{App, Refusal, answer};
use crate::access::SeenCase;
use crate::api::permission::Caller;

/// What a group is sorted and told apart by: Alertmanager's order has the fewest labels first.
type Key = (usize, Labels, Arc<str>, RouteId);

/// `GET /api/v2/alerts/groups`.
pub(in crate::api) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::new(query.as_deref());
    let read = || groups((&app, caller.rights()), &query);
    Ok(answer(app.large_reads.run(read).await??))
}

fn groups((app, rights): (&App, &Rights), query: &Query<'_>) -> Result<Value, Refusal> {
    let (wanted, receivers) = (query.alerts()?, query.receivers()?);
    let viewer = Viewer { config: app.alerting.config(), now: clock::now() };
    let routes = &viewer.config.routes;
    let cases = wanted.of(&app.alerting, rights)?;
    let wanted_names = receivers.names(&viewer.config);
    let mut groups: BTreeMap<Key, Vec<&SeenCase>> = BTreeMap::new();
    for case in &cases {
        for id in routes.matching(&case.alert().labels) {
            let route = routes.get(id);
            if wanted_names.contains(&*route.receiver) {
                let labels = route.group_labels(&case.alert().labels);
                let key = (labels.len(), labels, Arc::clone(&route.receiver), id);
                groups.entry(key).or_default().push(case);
            }
        }
    }
    let with_muted = query.is_set("muted");
    let view = |((_, labels, receiver, id), cases): (Key, Vec<&SeenCase>)| {
        let muted_by = routes.get(id).muted_by(viewer.now);
        if !with_muted && !muted_by.is_empty() {
            return None;
        }
        let alerts = cases.into_iter().map(|case| {
            let names = viewer.receivers_of(case.alert());
            viewer.view(case, &names, &muted_by)
        });
        Some(json!({
            "labels": labels_json(&labels),
            "routeLabels": {},
            "receiver": { "name": &*receiver },
            "alerts": alerts.collect::<Value>(),
        }))
    };
    Ok(groups.into_iter().filter_map(view).collect())
}
