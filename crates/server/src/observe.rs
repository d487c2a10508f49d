//! The server's own figures, and how `/metrics` writes them. One table names them all.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that threads add to.
#[derive(Debug, Default)]
pub(crate) struct Figure(AtomicU64);

impl Figure {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Counts one until the guard is dropped, however that comes about.
    pub(crate) fn enter(&self) -> Inside<'_> {
        self.add(1);
        Inside(self)
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One that a [`Figure`] counts.
#[derive(Debug)]
pub(crate) struct Inside<'a>(&'a Figure);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}

/// The version of Alertmanager whose API the server has: clients compare it with their own.
pub(crate) const ALERTMANAGER_VERSION: &str = "0.34.0";

/// What clients of Alertmanager such as Karma take the version from.
const BUILD_INFO: &str = "alertmanager_build_info";
const BUILD_INFO_HELP: &str = "The version of Alertmanager whose API this server has.";

macro_rules! figures {
    ($($field:ident $kind:literal $name:literal $help:literal;)*) => {
        /// Every figure of the server.
        #[derive(Debug, Default)]
        pub(crate) struct Figures { $(#[doc = $help] pub(crate) $field: Figure,)* }

        impl Figures {
            /// In the Prometheus text format.
            pub(crate) fn render(&self) -> String {
                let mut text = format!(
                    "# HELP {BUILD_INFO} {BUILD_INFO_HELP}\n# TYPE {BUILD_INFO} gauge\n\
                     {BUILD_INFO}{{version=\"{ALERTMANAGER_VERSION}\"}} 1\n"
                );
                $(
                    let value = self.$field.get();
                    let (name, help, kind) = ($name, $help, $kind);
                    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
                        .expect("a string takes all");
                )*
                text
            }

            /// Names and values.
            pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field.get()),)*]
            }

            /// Names, kinds and explanations.
            #[cfg(test)]
            const TABLE: &'static [(&'static str, &'static str, &'static str)] =
                &[$(($name, $kind, $help),)*];
        }
    };
}

figures! {
    connections_open "gauge" "bellwire_connections_open" "Connections of all kinds that are open.";
    connections_refused "counter" "bellwire_connections_refused_total" "Connections refused because there were too many.";
    memory_resident "gauge" "bellwire_memory_resident_bytes" "Memory that the process has.";
    memory_budget "gauge" "bellwire_memory_budget_bytes" "Memory that the process may have before it refuses new subscribers.";
    tls_failures "counter" "bellwire_tls_handshakes_failed_total" "TLS handshakes that failed or did not end in time.";
    certificate_expiry "gauge" "bellwire_tls_certificate_expiry_timestamp_seconds" "When the TLS certificate expires, in seconds since 1970; 0 without one.";
    streams_open "gauge" "bellwire_streams_open" "Open streams: SSE and NDJSON.";
    streams_lagging "gauge" "bellwire_streams_lagging" "Streams whose clients do not take what there is, or that wait for history.";
    lag_events "gauge" "bellwire_lag_events_max" "Events that the slowest of them lacks.";
    lag_ms "gauge" "bellwire_lag_milliseconds_max" "Age of the first event that the slowest of them lacks.";
    streams_stalled "counter" "bellwire_streams_stalled_total" "Streams ended because the client took no byte for too long.";
    polls_waiting "gauge" "bellwire_polls_waiting" "Long polls that wait for an event.";
    events_published "counter" "bellwire_events_published_total" "Events that the journal has acknowledged.";
    events_delivered "counter" "bellwire_events_delivered_total" "Events written to streams, once for each subscriber.";
    bytes_delivered "counter" "bellwire_bytes_delivered_total" "Bytes written to streams.";
    state_keys "gauge" "bellwire_state_keys" "Keys of all state topics.";
    samples_accepted "counter" "bellwire_samples_accepted_total" "Samples that rules have seen.";
    samples_rejected "counter" "bellwire_samples_rejected_total" "Samples that were refused.";
    samples_dropped_late "counter" "bellwire_samples_dropped_late_total" "Samples that rules passed over because they were older than what their series had.";
    samples_dropped_ahead "counter" "bellwire_samples_dropped_ahead_total" "Samples dropped because too many were ahead of the clock.";
    series_refused "counter" "bellwire_series_refused_total" "Samples dropped because rules remember as many series as they may.";
    values_refused "counter" "bellwire_values_refused_total" "Samples not shown because state topics hold as many keys as they may.";
    rules_loaded "gauge" "bellwire_rules_loaded" "Rules that are loaded.";
    reloads "counter" "bellwire_reloads_total" "Times that rules were read again and took effect.";
    reloads_failed "counter" "bellwire_reloads_failed_total" "Times that rules were read again, were wrong, and those before stayed in force.";
    rule_series "gauge" "bellwire_rule_series" "Series that rules remember.";
    rule_state_unkept "gauge" "bellwire_rule_state_unkept" "1 while the rules' state cannot be written to the disk.";
    rule_state_failures "counter" "bellwire_rule_state_failures_total" "Times that the rules' state could not be written or synced.";
    alerts_pending "gauge" "bellwire_alerts_pending" "Alerts whose condition holds, but not for long enough yet.";
    alerts_firing "gauge" "bellwire_alerts_firing" "Alerts that fire.";
    alerts_data_lost "gauge" "bellwire_alerts_data_lost" "Alerts whose series have fallen silent while they fired.";
    alerts_refused "counter" "bellwire_alerts_refused_total" "Alerts not raised because there are as many as there may be.";
    rule_failures "counter" "bellwire_rule_evaluation_failures_total" "Evaluations of rules that came to nothing; the log and `/api/v1/rules` say which rules and why.";
    alert_transitions "counter" "bellwire_alert_transitions_total" "Alerts that began to fire, lost their data or resolved.";
    alert_groups "gauge" "bellwire_alert_groups" "Groups of alerts that are notified together.";
    alert_groups_refused "counter" "bellwire_alert_groups_refused_total" "Alerts that nobody is notified of because there are too many groups.";
    notifications "counter" "bellwire_notifications_total" "Notifications that were delivered, and are remembered, or were given up.";
    notifications_failed "counter" "bellwire_notifications_failed_total" "Notifications that were given up; they are on `alerts/dead-letters`.";
    notifications_postponed "counter" "bellwire_notifications_postponed_total" "Notifications put off to their group's next look, because too many wait for their webhook.";
    notifications_waiting "gauge" "bellwire_notifications_waiting" "Notifications that wait or are on their way.";
    notification_requests "counter" "bellwire_notification_requests_total" "Requests to webhooks.";
    notification_requests_failed "counter" "bellwire_notification_requests_failed_total" "Requests to webhooks that failed.";
    journal_tail "gauge" "bellwire_journal_tail_offset" "The newest durable offset.";
    journal_trimmed "gauge" "bellwire_journal_trimmed_offset" "The newest offset that retention has removed.";
    journal_failing "gauge" "bellwire_journal_failing" "1 while the journal takes no events; the log and `/readyz` say why.";
    journal_failures "counter" "bellwire_journal_failures_total" "Appends that failed.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for (name, kind, help) in Figures::TABLE {
            assert!(name.starts_with("bellwire_"), "{name}");
            assert_eq!(*kind == "counter", name.ends_with("_total"), "{name}");
            assert!(help.ends_with('.'), "{name}");
        }
        let rendered = Figures::default().render();
        assert!(rendered.contains("\nbellwire_streams_open 0\n"));
        assert!(rendered.contains("\nalertmanager_build_info{version=\"0.34.0\"} 1\n"));
        // The reference says so.
        let labelled = rendered.lines().filter(|line| line.contains('{'));
        assert!(labelled.eq([r#"alertmanager_build_info{version="0.34.0"} 1"#]));
    }

    #[test]
    fn the_reference_lists_every_figure() {
        let row = |(name, kind, help): &(&str, &str, &str)| {
            [format!("`{name}`"), (*kind).to_owned(), (*help).to_owned()]
        };
        let figures = [(BUILD_INFO, "gauge", BUILD_INFO_HELP)];
        let rows = figures.iter().chain(Figures::TABLE).map(row);
        let table = golden::table(["name", "kind", "meaning"], rows);
        golden::check("docs/reference/metrics.md", "figures", &table);
    }
}
