//! `[ingest]`: how what sources send is taken, by protocol.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use bellwire_ingest::otlp::{Promoted, Settings};
use bellwire_model::duration;
use bellwire_sources::http::Replicas;
use serde::Deserialize;
use toml::Spanned;

/// How what sources send is taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngestConfig {
    /// Pairs of replicas that send the same by remote write.
    pub replicas: Option<Replicas>,
    /// How OpenTelemetry's metrics become series.
    pub otlp: Settings,
}

/// `[ingest]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IngestTable {
    remote_write: Option<RemoteWriteTable>,
    otlp: Option<OtlpTable>,
}

/// `[ingest.remote_write]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoteWriteTable {
    replica_label: Option<Spanned<String>>,
    cluster_labels: Option<Spanned<Vec<String>>>,
    failover_timeout: Option<Spanned<String>>,
}

/// `[ingest.otlp]`, with the keys that Prometheus has for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtlpTable {
    translation_strategy: Option<Spanned<String>>,
    promote_resource_attributes: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    promote_all_resource_attributes: bool,
    ignore_resource_attributes: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    keep_identifying_resource_attributes: bool,
    #[serde(default)]
    promote_scope_metadata: bool,
}

/// What names a cluster where nothing else is said, as in Cortex and Mimir.
const CLUSTER_LABEL: &str = "cluster";
/// Two scrapes of a Prometheus as it comes are a minute apart and a request soon follows: a replica
/// that is silent for half of that has mostly gone.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(30);

/// What is wrong, and where in the file.
type Wrong = (Range<usize>, String);

/// Reads the table.
pub(super) fn read(value: Spanned<toml::de::DeValue<'_>>) -> Result<IngestConfig, Wrong> {
    let span = value.span();
    let table = IngestTable::deserialize(toml::de::ValueDeserializer::from(value))
        .map_err(|error| (error.span().unwrap_or(span), error.message().to_owned()))?;
    let replicas = table.remote_write.map(replicas).transpose()?.flatten();
    let otlp = table.otlp.map(otlp).transpose()?.unwrap_or_default();
    Ok(IngestConfig { replicas, otlp })
}

fn otlp(table: OtlpTable) -> Result<Settings, Wrong> {
    let only = table.promote_resource_attributes;
    let ignored = table.ignore_resource_attributes;
    let promoted = match (table.promote_all_resource_attributes, only, ignored) {
        (true, Some(only), _) => {
            let reason = "`promote_all_resource_attributes` has them all already";
            return Err((only.span(), reason.to_owned()));
        }
        (false, _, Some(ignored)) => {
            let reason = "it takes from `promote_all_resource_attributes`, which is not there";
            return Err((ignored.span(), reason.to_owned()));
        }
        (true, None, ignored) => Promoted::AllBut(set(ignored)),
        (false, only, None) => Promoted::Only(set(only)),
    };
    let strategy = table
        .translation_strategy
        .map(|text| text.get_ref().parse().map_err(|error| (text.span(), format!("{error}"))));
    Ok(Settings {
        translation_strategy: strategy.transpose()?.unwrap_or_default(),
        promoted,
        keep_identifying_resource_attributes: table.keep_identifying_resource_attributes,
        promote_scope_metadata: table.promote_scope_metadata,
    })
}

fn set(keys: Option<Spanned<Vec<String>>>) -> BTreeSet<String> {
    keys.map(Spanned::into_inner).into_iter().flatten().collect()
}

fn replicas(table: RemoteWriteTable) -> Result<Option<Replicas>, Wrong> {
    let RemoteWriteTable { replica_label, cluster_labels, failover_timeout } = table;
    let Some(replica_label) = replica_label else {
        let others = [cluster_labels.map(|it| it.span()), failover_timeout.map(|it| it.span())];
        let reason = "`replica_label` says what tells replicas apart, and is not there";
        return match others.into_iter().flatten().next() {
            Some(span) => Err((span, reason.to_owned())),
            None => Ok(None),
        };
    };
    let label = |name: &str, span: &Range<usize>| {
        let reason = "expected the name of a label".to_owned();
        if name.is_empty() { Err((span.clone(), reason)) } else { Ok(()) }
    };
    label(replica_label.get_ref(), &replica_label.span())?;
    let cluster_labels = match cluster_labels {
        None => vec![CLUSTER_LABEL.to_owned()],
        Some(labels) if labels.get_ref().is_empty() => {
            let reason = "`cluster_labels` names what all replicas of a pair have: one at least";
            return Err((labels.span(), reason.to_owned()));
        }
        Some(labels) => {
            labels.get_ref().iter().try_for_each(|name| label(name, &labels.span()))?;
            labels.into_inner()
        }
    };
    let failover_timeout = match failover_timeout {
        None => FAILOVER_TIMEOUT,
        Some(text) => {
            duration::parse(text.get_ref()).filter(|it| !it.is_zero()).ok_or_else(|| {
                let reason = format!("expected {}; not `{}`", super::DURATION_FORM, text.get_ref());
                (text.span(), reason)
            })?
        }
    };
    let replica_label = replica_label.into_inner();
    Ok(Some(Replicas { cluster_labels, replica_label, failover_timeout }))
}
