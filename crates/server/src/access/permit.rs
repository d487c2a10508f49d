//! What rights leave of what somebody wants to follow, and what they may publish.

use bellwire_access::Rights;
use bellwire_model::{EffectiveFilter, Filter, FilterSet, Scope, Sight, Topic};
use bellwire_shards::{PollRequest, StreamRequest};
use bellwire_wire::problem::{Code, Problem};

/// What the rights leave of a stream: they may make it narrower. Nothing is an error, but for a
/// WebSocket that asks for nothing yet.
pub(crate) fn permit_stream(
    rights: &Rights,
    request: StreamRequest,
) -> Result<StreamRequest, Problem> {
    if rights.read_everything() {
        return Ok(request);
    }
    let wanted = request.follows.filters().clone();
    if wanted.is_empty() && !may_converse(rights) {
        return Err(nothing_left());
    }
    let permitted = request.within(&rights.subscribe, &sight(rights))?;
    check_left(&wanted, &permitted.follows)?;
    Ok(permitted)
}

/// Whether there is anything that one may do over a WebSocket.
pub(crate) fn may_converse(rights: &Rights) -> bool {
    let nothing = Scope::none();
    let may_send = !rights.publish.is_empty() || rights.ingest != nothing;
    may_send || !rights.subscribe.is_empty() || rights.attend != nothing
}

/// What the rights leave of a long poll.
pub(crate) fn permit_poll(rights: &Rights, request: PollRequest) -> Result<PollRequest, Problem> {
    if rights.read_everything() {
        return Ok(request);
    }
    let wanted = request.follows.filters().clone();
    let permitted = request.within(&rights.subscribe, &sight(rights))?;
    check_left(&wanted, &permitted.follows)?;
    Ok(permitted)
}

/// What the rights leave of what a WebSocket wants to follow, too.
pub(crate) fn permit(
    rights: &Rights,
    follows: EffectiveFilter,
) -> Result<EffectiveFilter, Problem> {
    if rights.read_everything() {
        return Ok(follows);
    }
    let wanted = follows.filters().clone();
    let permitted = follows
        .within(&rights.subscribe, &sight(rights))
        .map_err(|error| Problem::new(Code::TopicInvalid, error))?;
    check_left(&wanted, &permitted)?;
    Ok(permitted)
}

/// What may be read of a topic.
pub(crate) fn permit_reading(rights: &Rights, topic: &Topic) -> Result<EffectiveFilter, Problem> {
    permit(rights, EffectiveFilter::from(FilterSet::from(Filter::from(topic))))
}

/// Whether a topic may be published to.
pub(crate) fn permit_publishing(rights: &Rights, topic: &Topic) -> Result<(), Problem> {
    // Of the server's own topics whoever publishes says so to everybody.
    if topic.is_reserved() || rights.publish.matches(topic) {
        return Ok(());
    }
    let detail = format!("you may not publish to `{topic}`: `GET /v1/whoami` says what you may");
    Err(Problem::new(Code::Forbidden, detail))
}

/// What the rights show of alerts and of series.
pub(crate) fn sight(rights: &Rights) -> Sight {
    Sight { alerts: rights.alerts.clone(), series: rights.query.clone() }
}

fn check_left(wanted: &FilterSet, left: &EffectiveFilter) -> Result<(), Problem> {
    if !left.filters().is_empty() || wanted.is_empty() {
        return Ok(());
    }
    Err(nothing_left())
}

fn nothing_left() -> Problem {
    let detail = "you may read none of these topics: `GET /v1/whoami` says what you may";
    Problem::new(Code::Forbidden, detail)
}
