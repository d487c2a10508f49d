//! The figures of the whole server, and how `/metrics` writes them.

use std::fmt::Write as _;
use std::sync::Arc;

use bellwire_process::{Family, Figure, Row};
use bellwire_shards::{ClosedStreams, Lags, Transports};

/// The version of Alertmanager whose API the server has: clients compare it with their own.
pub(crate) const ALERTMANAGER_VERSION: &str = "0.34.0";

/// What clients of Alertmanager such as Karma take the version from.
const BUILD_INFO: &str = "alertmanager_build_info";
const BUILD_INFO_HELP: &str = "The version of Alertmanager whose API this server has.";

bellwire_process::figures! {
    /// The figures of the front door.
    pub(crate) struct DoorFigures {
        connections_open "gauge" "bellwire_connections_open" "Connections of all kinds that are open.";
        connections_refused "counter" "bellwire_connections_refused_total" "Connections refused because there were too many.";
        principals_refused "counter" "bellwire_principals_refused_total" "What was refused because its sender has used up what its roles allow: requests, and events and samples of them.";
        memory_resident "gauge" "bellwire_memory_resident_bytes" "Memory that the process has.";
        memory_budget "gauge" "bellwire_memory_budget_bytes" "Memory that the process may have before it refuses new subscribers.";
        tls_failures "counter" "bellwire_tls_handshakes_failed_total" "TLS handshakes that failed or did not end in time.";
        certificate_expiry "gauge" "bellwire_tls_certificate_expiry_timestamp_seconds" "When the TLS certificate expires, in seconds since 1970; 0 without one.";
    }
    within {
        guests "Connections that no shard has.";
    }
}

bellwire_process::figures! {
    /// The figures of the journal.
    pub(crate) struct JournalFigures {
        tail "gauge" "bellwire_journal_tail_offset" "The newest durable offset.";
        trimmed "gauge" "bellwire_journal_trimmed_offset" "The newest offset that retention has removed.";
        failing "gauge" "bellwire_journal_failing" "1 while the journal takes no events; the log and `/readyz` say why.";
        damaged "counter" "bellwire_journal_damaged_total" "Times that a read has met a damaged event, and told of a gap instead.";
        damaged_blocks "gauge" "bellwire_journal_damaged_blocks" "Blocks of 1,024 events that retention has met since the start and leaves as they are, since they are damaged.";
        failures "counter" "bellwire_journal_failures_total" "Appends that failed.";
    }
}

bellwire_process::figures! {
    /// The figures of the audit.
    pub(crate) struct AuditFigures {
        events "counter" "bellwire_audit_events_total" "Deeds that were told to the audit.";
        lost "counter" "bellwire_audit_events_lost_total" "Deeds of these that the journal did not take; the log has them.";
        forbidden "counter" "bellwire_requests_forbidden_total" "Requests, messages of WebSockets among them, of which all or a part was refused with `403 forbidden`: whoever sent them may not do it.";
    }
}

bellwire_process::figures! {
    /// The figures of what a node shows of what the keeper of the desk does.
    pub(crate) struct MirrorFigures {
        begun "counter" "bellwire_mirror_streams_total" "Times that this node has begun to follow what the node shows that has samples, rules and queries.";
        open "gauge" "bellwire_mirror_streams_open" "Streams to that node that are open.";
        values_refused "counter" "bellwire_mirror_values_refused_total" "Values of these that are not shown here, since state topics hold as much as they may.";
    }
}

/// Every figure of the server.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) door: DoorFigures,
    pub(crate) authn: Arc<bellwire_authn::Figures>,
    pub(crate) shards: Arc<bellwire_shards::Figures>,
    pub(crate) transports: Arc<Transports>,
    /// Streams that lag, and those that have ended.
    pub(crate) lags: Arc<Lags>,
    pub(crate) closed: Arc<ClosedStreams>,
    pub(crate) alerting: Arc<bellwire_alerting::Figures>,
    pub(crate) sources: bellwire_sources::Figures,
    pub(crate) journal: JournalFigures,
    pub(crate) audit: Arc<AuditFigures>,
    pub(crate) mirror: Arc<MirrorFigures>,
}

impl Figures {
    /// Connections of all kinds that are open.
    pub(crate) fn connections(&self) -> u64 {
        self.door.guests.get() + self.shards.streams_open.get()
    }

    /// Names, kinds, explanations and values.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> {
        self.door.connections_open.set(self.connections());
        let failures = [&self.shards.journal_failures, &self.alerting.journal_failures];
        self.journal.failures.set(failures.map(Figure::get).iter().sum());
        let (door, authn, journal) = (self.door.rows(), self.authn.rows(), self.journal.rows());
        let (shards, alerting) = (self.shards.rows(), self.alerting.rows());
        let brokers = self.sources.mqtt_brokers.counts.rows();
        let (audit, mirror) = (self.audit.rows(), self.mirror.rows());
        [door, authn, shards, alerting, journal, audit, brokers, mirror].into_iter().flatten()
    }

    /// Those that have labels.
    pub(crate) fn families(&self) -> Vec<Family> {
        let mut families = self.sources.families();
        families.extend(self.transports.families());
        families.push(self.closed.family());
        families
    }

    /// In the Prometheus text format.
    pub(crate) fn render(&self) -> String {
        let mut text = format!(
            "# HELP {BUILD_INFO} {BUILD_INFO_HELP}\n# TYPE {BUILD_INFO} gauge\n\
             {BUILD_INFO}{{version=\"{ALERTMANAGER_VERSION}\"}} 1\n"
        );
        for Row { name, kind, help, value } in self.rows() {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
                .expect("a string takes all");
        }
        for family in self.families() {
            render_family(&mut text, &family);
        }
        text
    }
}

fn render_family(text: &mut String, family: &Family) {
    let Family { name, kind, help, labels, values } = family;
    write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n").expect("a string takes all");
    for (label_values, value) in values {
        // The values are words of the program: nothing in them is to be escaped.
        let pairs =
            labels.iter().zip(label_values).map(|(name, value)| format!("{name}=\"{value}\""));
        let pairs: Vec<_> = pairs.collect();
        writeln!(text, "{name}{{{}}} {value}", pairs.join(",")).expect("a string takes all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for Row { name, kind, help, .. } in Figures::default().rows() {
            assert!(name.starts_with("bellwire_"), "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(help.ends_with('.'), "{name}");
        }
        let rendered = Figures::default().render();
        assert!(rendered.contains("\nbellwire_streams_open 0\n"));
        assert!(rendered.contains("\nalertmanager_build_info{version=\"0.34.0\"} 1\n"));
        assert!(rendered.contains("\nbellwire_source_samples_taken_total{source=\"json\"} 0\n"));
        for Family { name, kind, help, .. } in Figures::default().families() {
            assert!(name.starts_with("bellwire_") && help.ends_with('.'), "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        }
    }

    #[test]
    fn the_reference_lists_every_figure() {
        let row = |Row { name, kind, help, .. }| {
            [format!("`{name}`"), String::from(kind), String::from(help)]
        };
        let version = Row { name: BUILD_INFO, kind: "gauge", help: BUILD_INFO_HELP, value: 1 };
        let figures = Figures::default();
        let rows = [version].into_iter().chain(figures.rows()).map(row);
        let families = figures.families();
        let of_family = families.iter().map(|Family { name, kind, help, labels, .. }| {
            [format!("`{name}{{{}}}`", labels.join(",")), String::from(*kind), String::from(*help)]
        });
        let rows = rows.chain(of_family);
        let table = golden::table(["name", "kind", "meaning"], rows);
        golden::check("docs/reference/metrics.md", "figures", &table);
    }
}
