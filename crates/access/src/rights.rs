//! What a subject may do.

use bellwire_model::{Filter, FilterSet, Scope};

use crate::allowance::Limits;

/// What a subject may do. All of it is a list of what is allowed: what nobody names, nobody may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Topics that may be followed and read.
    pub subscribe: FilterSet,
    /// Topics that may be published to.
    pub publish: FilterSet,
    /// Samples that may be sent, by their labels and `__name__`.
    pub ingest: Scope,
    /// Series that queries and `samples/…` show.
    pub query: Scope,
    /// Alerts that are shown.
    pub alerts: Scope,
    /// Alerts that may be acknowledged and silenced.
    pub attend: Scope,
    /// Alerts that may be posted.
    pub post_alerts: Scope,
    /// What concerns the server itself: reloading, keys, `$sys/…`, figures, the record of who did
    /// what.
    pub is_admin: bool,
    /// How much they may do of it.
    pub limits: Limits,
    /// Whether they are fewer than the roles meant: the others would have been beyond the bounds.
    pub is_cut: bool,
}

impl Rights {
    /// All that there are.
    pub fn all() -> Self {
        let everything = || {
            let filters = ["**", "$sys/**"].map(|text| text.parse().expect("a filter"));
            FilterSet::gathered(filters.to_vec())
        };
        Self {
            subscribe: everything(),
            publish: everything(),
            ingest: Scope::all(),
            query: Scope::all(),
            alerts: Scope::all(),
            attend: Scope::all(),
            post_alerts: Scope::all(),
            is_admin: true,
            limits: Limits::NONE,
            is_cut: false,
        }
    }

    /// None at all.
    pub fn none() -> Self {
        Self {
            subscribe: FilterSet::none(),
            publish: FilterSet::none(),
            ingest: Scope::none(),
            query: Scope::none(),
            alerts: Scope::none(),
            attend: Scope::none(),
            post_alerts: Scope::none(),
            is_admin: false,
            limits: Limits::NONE,
            is_cut: false,
        }
    }

    /// Whether all topics may be read, and everything on them be seen.
    pub fn read_everything(&self) -> bool {
        // As `all` has them, in order.
        let filters = self.subscribe.iter().map(Filter::as_str);
        self.query.is_all() && self.alerts.is_all() && filters.eq(["$sys/**", "**"])
    }

    /// Bytes that they keep, about: those of their texts, with what is around each, and of their
    /// expressions.
    pub fn size_bytes(&self) -> usize {
        let filters = self.subscribe.iter().chain(self.publish.iter());
        let scopes =
            [&self.ingest, &self.query, &self.alerts, &self.attend, &self.post_alerts].into_iter();
        filters.map(filter_bytes).sum::<usize>() + scopes.map(Scope::size_bytes).sum::<usize>()
    }
}

/// What a filter takes beside its text.
const RIGHT_OVERHEAD_BYTES: usize = 48;

pub(crate) fn filter_bytes(filter: &Filter) -> usize {
    filter.as_str().len() + RIGHT_OVERHEAD_BYTES
}
