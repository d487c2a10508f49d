//! What rights leave of what somebody wants to follow.

use bellwire_access::Rights;
use bellwire_model::{EffectiveFilter, Filter, FilterSet, Sight, Topic};
use bellwire_wire::problem::{Code, Problem};

/// What the rights leave of what is to be followed: they may make it narrower. Nothing is an error.
pub(crate) fn permit(
    rights: &Rights,
    follows: EffectiveFilter,
) -> Result<EffectiveFilter, Problem> {
    let sight = Sight { alerts: rights.alerts.clone(), series: rights.query.clone() };
    let wanted_nothing = follows.filters().is_empty();
    let permitted = follows.within(&rights.subscribe, &sight).map_err(|error| {
        Problem::new(Code::TopicInvalid, format!("what your rights leave of it: {error}"))
    })?;
    // Delivery does not look at labels yet.
    if !permitted.sight().is_all() {
        return Err(topics_forbidden());
    }
    if permitted.filters().is_empty() && !wanted_nothing {
        return Err(topics_forbidden());
    }
    Ok(permitted)
}

/// Whether all of a topic's values or events, as far as labels allow, may be read.
pub(crate) fn permit_reading(rights: &Rights, topic: &Topic) -> Result<EffectiveFilter, Problem> {
    permit(rights, EffectiveFilter::from(FilterSet::from(Filter::from(topic))))
}

/// Whether a topic may be published to.
pub(crate) fn permit_publishing(rights: &Rights, topic: &Topic) -> Result<(), Problem> {
    if rights.publish.matches(topic) {
        return Ok(());
    }
    let detail = format!("you may not publish to `{topic}`: `GET /v1/whoami` says what you may");
    Err(Problem::new(Code::Forbidden, detail))
}

fn topics_forbidden() -> Problem {
    let detail = "you may read none of these topics: `GET /v1/whoami` says what you may";
    Problem::new(Code::Forbidden, detail)
}
