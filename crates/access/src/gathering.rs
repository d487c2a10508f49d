//! The rights of one subject, as they are gathered from roles: bounded in all, whatever the claims
//! and however many the roles.
//!
//! Rights only ever allow, so whoever gets fewer than were meant gets less and never more. What has
//! no variable is gathered first: no claim crowds it out.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bellwire_model::limits::{FILTERS_OF_RIGHTS_MAX, MATCHERS_OF_RIGHTS_MAX, RIGHTS_BYTES_MAX};
use bellwire_model::{FilterSet, Matchers, Scope};

use crate::claims::Claims;
use crate::rights::filter_bytes;
use crate::template::{FilterTemplate, MatchersTemplate};

/// What has been gathered so far, in bytes.
#[derive(Debug)]
pub(crate) struct Gathering<'a> {
    claims: &'a Claims,
    bytes: usize,
    is_cut: bool,
}

impl<'a> Gathering<'a> {
    /// For the subject of these claims.
    pub(crate) fn new(claims: &'a Claims) -> Self {
        Self { claims, bytes: 0, is_cut: false }
    }

    /// Whether there was more than is kept.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What these make together, none twice.
    pub(crate) fn filters<'t>(
        &mut self,
        templates: impl Iterator<Item = &'t FilterTemplate>,
    ) -> FilterSet {
        let claims = self.claims;
        let mut kept = BTreeSet::new();
        for template in fixed_first(templates, FilterTemplate::is_fixed) {
            let is_all = template.resolve(claims, |filter| {
                self.keep(&mut kept, filter, filter_bytes, FILTERS_OF_RIGHTS_MAX)
            });
            self.is_cut |= !is_all;
        }
        FilterSet::gathered(kept.into_iter().collect())
    }

    /// What these make together, none twice.
    #[expect(clippy::mutable_key_type, reason = "matchers are compared by their texts")]
    pub(crate) fn scope<'t>(
        &mut self,
        templates: impl Iterator<Item = &'t MatchersTemplate>,
    ) -> Scope {
        let claims = self.claims;
        let mut kept = BTreeSet::new();
        for template in fixed_first(templates, MatchersTemplate::is_fixed) {
            let is_all = template.resolve(claims, |matchers| {
                self.keep(&mut kept, matchers, Matchers::size_bytes, MATCHERS_OF_RIGHTS_MAX)
            });
            self.is_cut |= !is_all;
        }
        Scope::of(kept.into_iter().collect())
    }

    /// Keeps one, if there is room; none are looked for where there is not.
    fn keep<T: Ord>(
        &mut self,
        kept: &mut BTreeSet<T>,
        right: T,
        size_bytes: impl Fn(&T) -> usize,
        most: usize,
    ) -> ControlFlow<()> {
        if kept.contains(&right) {
            return ControlFlow::Continue(());
        }
        let bytes = self.bytes + size_bytes(&right);
        if kept.len() >= most || bytes > RIGHTS_BYTES_MAX {
            return ControlFlow::Break(());
        }
        self.bytes = bytes;
        kept.insert(right);
        ControlFlow::Continue(())
    }
}

fn fixed_first<'t, T: 't>(
    templates: impl Iterator<Item = &'t T>,
    is_fixed: fn(&T) -> bool,
) -> impl Iterator<Item = &'t T> {
    let (fixed, varying): (Vec<_>, Vec<_>) = templates.partition(|template| is_fixed(template));
    fixed.into_iter().chain(varying)
}
