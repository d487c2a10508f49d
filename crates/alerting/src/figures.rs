//! What samples, rules, alerts and notifications are counted by.

bellwire_process::figures! {
    /// The figures of samples, rules, alerts and notifications.
    pub struct Figures {
        samples_accepted "counter" "bellwire_samples_accepted_total" "Samples that rules have seen.";
        samples_rejected "counter" "bellwire_samples_rejected_total" "Samples that were refused.";
        samples_dropped_late "counter" "bellwire_samples_dropped_late_total" "Samples that rules passed over because they were older than what their series had.";
        samples_dropped_ahead "counter" "bellwire_samples_dropped_ahead_total" "Samples dropped because too many were ahead of the clock.";
        series_refused "counter" "bellwire_series_refused_total" "Samples dropped because rules remember as many series as they may.";
        values_refused "counter" "bellwire_values_refused_total" "Samples not shown because state topics hold as many keys or bytes as they may.";
        rules_loaded "gauge" "bellwire_rules_loaded" "Rules that are loaded.";
        rules_failing "gauge" "bellwire_rules_failing" "Rules of which an evaluation fails now, or that give more than their group allows.";
        rules_without_series "gauge" "bellwire_rules_without_series" "Rules that select series of which there are none now; not counted of those in tick mode.";
        last_sample "gauge" "bellwire_rules_last_sample_timestamp_seconds" "When a sample last came that a rule selects, in seconds since 1970; 0 before the first one since the start.";
        reloads "counter" "bellwire_reloads_total" "Times that rules were read again and took effect.";
        reloads_failed "counter" "bellwire_reloads_failed_total" "Times that rules were read again, were wrong, and those before stayed in force.";
        reload_failing "gauge" "bellwire_reload_failing" "1 while rules and notifications are older than their files, which were wrong when they were read again; the log and `/readyz` say what is wrong.";
        rule_series "gauge" "bellwire_rule_series" "Series that rules remember.";
        rule_samples_kept_bytes "gauge" "bellwire_rule_samples_kept_bytes" "Bytes of the samples that are kept because rules look back.";
        rule_samples_cut "counter" "bellwire_rule_samples_cut_total" "Samples that were forgotten although a rule looks back as far, because those that are kept take as much memory as they may.";
        rule_evaluations_spaced "counter" "bellwire_rule_evaluations_spaced_total" "Evaluations put off for some milliseconds because their part of a rule looks at very many series.";
        live_queries "gauge" "bellwire_live_queries" "Queries that are followed, or were a minute ago.";
        live_followers "gauge" "bellwire_live_query_followers" "Connections that follow queries, for each query that they follow.";
        rule_state_unkept "gauge" "bellwire_rule_state_unkept" "1 while the rules' state cannot be written to the disk.";
        rule_state_failures "counter" "bellwire_rule_state_failures_total" "Times that the rules' state could not be written or synced.";
        standby_whole "gauge" "bellwire_standby_whole" "1 while another node has all that the rules know, and takes over with it.";
        standby_behind "gauge" "bellwire_standby_behind_bytes" "Bytes of the rules' log that the standby lacks; 0 without one.";
        standby_lost "counter" "bellwire_standby_lost_total" "Times that the standby has not followed, and the rules went on without.";
        clock_ahead_ms "gauge" "bellwire_clock_ahead_milliseconds" "How far the rules' time is ahead of the wall clock, which has stepped back; it goes on more slowly until the clock has caught up.";
        alerts_pending "gauge" "bellwire_alerts_pending" "Alerts whose condition holds, but not for long enough yet.";
        alerts_firing "gauge" "bellwire_alerts_firing" "Alerts that fire.";
        alerts_data_lost "gauge" "bellwire_alerts_data_lost" "Alerts whose series have fallen silent while they fired.";
        alerts_refused "counter" "bellwire_alerts_refused_total" "Alerts not raised because there are as many as there may be.";
        alerts_without_topic "counter" "bellwire_alerts_without_topic_total" "Alerts told on `alerts/events/_/_` because there are as many topics as there may be.";
        rule_failures "counter" "bellwire_rule_evaluation_failures_total" "Evaluations of rules that came to nothing; the log and `/api/v1/rules` say which rules and why.";
        alert_transitions "counter" "bellwire_alert_transitions_total" "Alerts that began to fire, lost their data or resolved.";
        alert_groups "gauge" "bellwire_alert_groups" "Groups of alerts that are notified together.";
        alert_groups_refused "counter" "bellwire_alert_groups_refused_total" "Alerts that nobody is notified of because there are too many groups.";
        notifications "counter" "bellwire_notifications_total" "Notifications that were delivered, and are remembered, or were given up.";
        notifications_failed "counter" "bellwire_notifications_failed_total" "Notifications that were given up; they are on `alerts/dead-letters`.";
        notifications_postponed "counter" "bellwire_notifications_postponed_total" "Notifications put off to their group's next look, because too many wait for their webhook.";
        notifications_untold "counter" "bellwire_notifications_untold_total" "Notifications that were delivered and are in no alert's history, because the journal has taken nothing for long.";
        notifications_waiting "gauge" "bellwire_notifications_waiting" "Notifications that wait or are on their way.";
        push_subscriptions "gauge" "bellwire_push_subscriptions" "Subscriptions of browsers that are told of alerts though no page is open.";
        push_subscriptions_ended "counter" "bellwire_push_subscriptions_ended_total" "Subscriptions that have ended by themselves: their browser is gone, they were not renewed, or whose they were sees no alerts any more.";
        push_messages "counter" "bellwire_push_messages_total" "Push messages that push services have taken.";
        push_messages_failed "counter" "bellwire_push_messages_failed_total" "Push messages that were given up.";
        push_requests "counter" "bellwire_push_requests_total" "Requests to push services.";
        push_requests_failed "counter" "bellwire_push_requests_failed_total" "Requests to push services that failed.";
        notification_requests "counter" "bellwire_notification_requests_total" "Requests to webhooks.";
        notification_requests_failed "counter" "bellwire_notification_requests_failed_total" "Requests to webhooks that failed.";
    }
    within {
        journal_failures "Appends that failed.";
        rules_alerting "Rules that are loaded and alert, which those that record do not.";
        last_sample_ms "The last sample's time in milliseconds.";
    }
}
