//! What somebody may have meant who wrote a name that there is not.

/// A name of less likeness is another word.
const LIKENESS_MIN: f64 = 0.8;

/// The name that is most like what was written, if any is.
pub(super) fn nearest<'a>(
    written: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = written.to_lowercase().replace('-', "_");
    let likeness = |name: &&str| strsim::jaro_winkler(&written, name);
    let best = names.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) >= LIKENESS_MIN).then_some(best)
}

/// `: did you mean …?`, or nothing.
pub(super) fn did_you_mean<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(written, names).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SETTINGS;

    #[test]
    fn slips_find_the_setting_that_was_meant() {
        let nearest = |written| nearest(written, SETTINGS.iter().map(|setting| setting.key));
        for (written, meant) in [
            ("listn", Some("listen")),
            ("Listen", Some("listen")),
            ("rule", Some("rules")),
            ("retention-age", Some("retention_age")),
            ("allowed_origin", Some("allowed_origins")),
            ("heartbeat", Some("heartbeat_interval")),
            ("alertmanager", Some("alertmanager_config")),
            ("connection_max", Some("connections_max")),
            // What Kubernetes says of a service with our name, and what is nothing like a setting.
            ("service_host", None),
            ("service_port", None),
            ("port", None),
            ("port_8080_tcp_addr", None),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(written), meant, "{written}");
        }
    }
}
