//! What rights leave of what somebody wants to follow, and what they may publish.

use bellwire_access::Rights;
use bellwire_authn::config::Wider;
use bellwire_model::{
    EffectiveFilter, Filter, FilterError, FilterSet, QueryId, Scope, Sight, Topic,
};
use bellwire_shards::{PollRequest, StreamRequest};
use bellwire_wire::problem::{Code, Problem};

/// What the rights leave of a stream: they may make it narrower. Nothing is an error, but for a
/// WebSocket that asks for nothing yet.
pub(crate) fn permit_stream(
    (rights, wider): (&Rights, Wider),
    request: StreamRequest,
) -> Result<StreamRequest, Problem> {
    if rights.read_everything() {
        return Ok(request);
    }
    let wanted = request.follows.filters().clone();
    if wanted.is_empty() && !may_converse(rights) {
        return Err(nothing_left());
    }
    let permitted = request.within(&readable(rights, &wanted), &sight(rights))?;
    check_left(&wanted, &permitted.follows, wider)?;
    Ok(permitted)
}

/// What whoever has yet to say who they are may open: a WebSocket on which nothing is followed yet.
pub(crate) fn permit_pending(request: StreamRequest) -> Result<StreamRequest, Problem> {
    if request.handshake.is_some() && request.follows.filters().is_empty() {
        return Ok(request);
    }
    let detail = "`credential=message` is for a WebSocket that names no topic yet: its first message \
                  shows the credential, and those that follow subscribe";
    Err(Problem::new(Code::CredentialMissing, detail))
}

/// Whether there is anything that one may do over a WebSocket.
pub(crate) fn may_converse(rights: &Rights) -> bool {
    let nothing = Scope::none();
    let may_send = !rights.publish.is_empty() || rights.ingest != nothing;
    let may_read = !rights.subscribe.is_empty() || rights.query != nothing;
    may_send || may_read || rights.attend != nothing
}

/// What the rights leave of a long poll, and of its topics where that is less than was asked for.
pub(crate) fn permit_poll(
    (rights, wider): (&Rights, Wider),
    request: PollRequest,
) -> Result<(PollRequest, Option<FilterSet>), Problem> {
    if rights.read_everything() {
        return Ok((request, None));
    }
    let wanted = request.follows.filters().clone();
    let permitted = request.within(&readable(rights, &wanted), &sight(rights))?;
    let left = permitted.follows.filters().clone();
    check_left(&wanted, &permitted.follows, wider)?;
    Ok((permitted, (left != wanted).then_some(left)))
}

/// What the rights leave of what a WebSocket wants to follow, too.
pub(crate) fn permit(
    (rights, wider): (&Rights, Wider),
    follows: EffectiveFilter,
) -> Result<EffectiveFilter, Problem> {
    if rights.read_everything() {
        return Ok(follows);
    }
    let wanted = follows.filters().clone();
    let permitted = follows
        .within(&readable(rights, &wanted), &sight(rights))
        .map_err(|error| Problem::new(Code::TopicInvalid, error))?;
    check_left(&wanted, &permitted, wider)?;
    Ok(permitted)
}

/// What the rights leave of what is followed; it may be nothing.
pub(super) fn rest(
    rights: &Rights,
    follows: EffectiveFilter,
) -> Result<EffectiveFilter, FilterError> {
    if rights.read_everything() {
        return Ok(follows);
    }
    // Of alerts and series no more is seen than was.
    let seen = follows.sight().clone();
    let mine = sight(rights);
    let of = |seen: Scope, mine: Scope| if mine.covers(&seen) { seen } else { mine };
    let alerts = of(seen.alerts, mine.alerts);
    let series = of(seen.series, mine.series);
    let wanted = follows.filters().clone();
    follows.within(&readable(rights, &wanted), &Sight { alerts, series })
}

/// What may be read of a topic.
pub(crate) fn permit_reading(rights: &Rights, topic: &Topic) -> Result<EffectiveFilter, Problem> {
    permit((rights, Wider::Narrow), EffectiveFilter::from(FilterSet::from(Filter::from(topic))))
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

/// The topics that may be read, of those that are wanted at least. Of the answers of queries those
/// alone of whoever sees the same, and who follows a topic if that may be read itself, whatever roles
/// say of their topics.
fn readable(rights: &Rights, wanted: &FilterSet) -> FilterSet {
    let is_own = |filter: &&Filter| {
        let first = filter.as_str().split('/').next();
        !matches!(first, Some(Topic::QUERIES | Topic::PRESENCE))
    };
    let followed = followed(rights);
    let own = || followed.iter().filter(is_own);
    let mut filters: Vec<Filter> = own().cloned().collect();
    if rights.query != Scope::none() {
        filters.push(QueryId::topics_of(&sight(rights)));
    }
    let is_presence = |filter: &Filter| filter.as_str().split('/').next() == Some(Topic::PRESENCE);
    if wanted.iter().any(is_presence) {
        // One that is too long for that has no presence.
        filters.extend(own().filter_map(|of| format!("{}/{of}", Topic::PRESENCE).parse().ok()));
    }
    FilterSet::gathered(filters)
}

/// The topics that roles let somebody follow.
pub(crate) fn subscribe(rights: &Rights) -> FilterSet {
    FilterSet::gathered(followed(rights))
}

/// What roles name, and more: whoever reads the board reads who has an alert of it open.
fn followed(rights: &Rights) -> Vec<Filter> {
    let board: Topic = Topic::OF_BOARD.parse().expect("a topic");
    let mut filters: Vec<Filter> = rights.subscribe.iter().cloned().collect();
    if rights.subscribe.matches(&board) {
        filters.push(format!("{}/*", Topic::AT_ALERTS).parse().expect("a filter"));
    }
    filters
}

/// Whether who follows it may be seen of this topic, by those who may read these.
pub(crate) fn shows_presence(subscribe: &FilterSet, topic: &Topic) -> Option<bool> {
    let (first, of) = topic.as_str().split_once('/')?;
    let of: Topic = (first == Topic::PRESENCE).then(|| of.parse().ok())??;
    Some(subscribe.matches(&of))
}

fn check_left(wanted: &FilterSet, left: &EffectiveFilter, wider: Wider) -> Result<(), Problem> {
    if left.filters().is_empty() && !wanted.is_empty() {
        return Err(nothing_left());
    }
    if wider == Wider::Refuse && left.filters() != wanted {
        let detail = "you may not read all of these topics: `GET /v1/whoami` says what you may";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok(())
}

fn nothing_left() -> Problem {
    let detail = "you may read none of these topics: `GET /v1/whoami` says what you may";
    Problem::new(Code::Forbidden, detail)
}
