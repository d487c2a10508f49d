//! Alerts that pass what somebody asks for. Their expressions are a stranger's: many wait for the place
//! of whoever takes long over them.

use std::sync::Arc;

use bellwire_alerts::Matchers;
use bellwire_model::{Alert, Fingerprint, Scope};
use bellwire_wire::problem::{Code, Problem};

/// Those within a scope that pass matchers, in so many steps at most.
pub(super) fn passing(
    alerts: &[Arc<Alert>],
    (scope, matchers): (&Scope, &Matchers),
    mut steps_left: usize,
) -> Result<Vec<Fingerprint>, Problem> {
    let mut passing = Vec::new();
    for alert in alerts.iter().filter(|alert| scope.passes(&alert.labels)) {
        let (passes, steps) = matchers.matches_briefly(&alert.labels);
        steps_left = steps_left.checked_sub(steps).ok_or_else(takes_too_long)?;
        passing.extend(passes.then_some(alert.fingerprint));
    }
    Ok(passing)
}

fn takes_too_long() -> Problem {
    let detail = "these matchers take too long for the alerts that there are: write simpler \
                  expressions, or add a matcher with `=`";
    Problem::new(Code::ParameterInvalid, detail)
}

#[cfg(test)]
mod tests {
    use bellwire_model::Timestamp;
    use bellwire_model::limits::MATCHING_STEPS_MAX;

    use super::*;
    use crate::tests::fixture::posted;

    fn alert(team: &str, number: usize) -> Arc<Alert> {
        let (path, number) = ("ab".repeat(2_000), number.to_string());
        let labels = [("team", team), ("path", &*path), ("number", &*number)];
        Arc::new(posted(&labels, Timestamp::from_ms(0)))
    }

    #[test]
    fn who_asks_for_what_takes_too_long_is_told_so_and_waits_for_no_others_alerts() {
        let alerts: Vec<_> =
            (0..8).map(|number| alert(["red", "blue"][number % 2], number)).collect();
        let matchers = |text: &str| text.parse::<Matchers>().expect(text);
        let steps_max = 3 * MATCHING_STEPS_MAX;
        let count = |scope: &Scope, text: &str| {
            let passing = passing(&alerts, (scope, &matchers(text)), steps_max);
            passing.map(|passing| passing.len()).map_err(|problem| problem.code)
        };
        let slow = r#"path=~"(?:(?:.?){900}x)+""#;
        assert_eq!(count(&Scope::all(), slow), Err(Code::ParameterInvalid));
        assert_eq!(count(&Scope::of(vec![matchers("number=1")]), slow), Ok(0));
        assert_eq!(count(&Scope::all(), &format!("{slow},number=~\"1|2\"")), Ok(0));
        assert_eq!(count(&Scope::all(), r#"path=~"(?:ab)+",team=red"#), Ok(4));
    }
}
