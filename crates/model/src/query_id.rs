//! The identity of a standing query, and where its answer is.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::identity_hash::IdentityHash;
use crate::scope::{Scope, Sight};
use crate::topic::Topic;

/// What somebody wants to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedQuery {
    /// An expression, as it was written.
    Expression(Box<str>),
    /// What is recorded under this name.
    Named(Box<str>),
}

/// Identifies a standing query by its expression, or by the name that it is recorded under, and by
/// what those who follow it may see: the same in every process.
///
/// Text form: 16 lower-case hexadecimal digits for the expression or name; before them those of the
/// sight and a `/`, where it is not everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId {
    /// Nothing where everything is seen.
    sight: Option<u64>,
    expression: u64,
}

impl QueryId {
    /// That of an expression in its canonical form, as somebody sees it. Nobody can choose it: to
    /// find another expression with the same one takes some 2^64 attempts.
    pub fn of(canonical: &str, sight: &Sight) -> Self {
        Self::hashed("bellwire query 1", canonical, sight)
    }

    /// That of what is recorded under a name, as somebody sees it: the same whatever expression it is.
    pub fn named(name: &str, sight: &Sight) -> Self {
        Self::hashed("bellwire query name 1", name, sight)
    }

    /// That of what keeps the series of this one while it is made anew: no topic is its.
    #[must_use]
    pub fn stand_in(self) -> Self {
        Self { expression: !self.expression, ..self }
    }

    fn hashed(kind: &'static str, text: &str, sight: &Sight) -> Self {
        let mut hash = IdentityHash::new(kind);
        hash.write_text(text);
        Self { sight: sight_hash(sight), expression: hash.finish() }
    }

    /// A number that stands for it where two that have the same one lose nothing.
    pub fn number(self) -> u64 {
        self.expression ^ self.sight.unwrap_or_default().rotate_left(1)
    }

    /// The state topic that holds the answer.
    pub fn topic(self) -> Topic {
        format!("{}/{self}", Topic::QUERIES).parse().expect("the segments are valid and short")
    }

    /// The topics of all queries that somebody may follow who sees this, as a filter.
    pub fn topics_of(sight: &Sight) -> crate::Filter {
        let text = match sight_hash(sight) {
            None => format!("{}/*", Topic::QUERIES),
            Some(sight) => format!("{}/{sight:016x}/*", Topic::QUERIES),
        };
        text.parse().expect("a filter")
    }
}

impl FromStr for QueryId {
    type Err = QueryIdError;

    fn from_str(text: &str) -> Result<Self, QueryIdError> {
        let number = |digits: &str| {
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let is_number = digits.len() == 16 && digits.bytes().all(is_digit);
            u64::from_str_radix(digits, 16).ok().filter(|_| is_number).ok_or(QueryIdError)
        };
        match text.split_once('/') {
            None => Ok(Self { sight: None, expression: number(text)? }),
            Some((sight, text)) => {
                Ok(Self { sight: Some(number(sight)?), expression: number(text)? })
            }
        }
    }
}

/// A text that is no [`QueryId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a query's id is 16 hexadecimal digits, or twice as many with a `/` between")]
pub struct QueryIdError;

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(sight) = self.sight {
            write!(f, "{sight:016x}/")?;
        }
        write!(f, "{:016x}", self.expression)
    }
}

fn sight_hash(sight: &Sight) -> Option<u64> {
    if sight.is_all() {
        return None;
    }
    let mut hash = IdentityHash::new("bellwire sight 1");
    for scope in [&sight.alerts, &sight.series] {
        write_scope(&mut hash, scope);
    }
    Some(hash.finish())
}

/// Scopes are in canonical form, so that equal ones are written alike.
fn write_scope(hash: &mut IdentityHash, scope: &Scope) {
    let Some(sets) = scope.sets() else { return hash.write_text("all") };
    hash.write_text(&sets.len().to_string());
    for set in sets {
        hash.write_text(&set.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(series: &[&str]) -> Sight {
        let sets = series.iter().map(|set| set.parse().expect("matchers")).collect();
        Sight { alerts: Scope::all(), series: Scope::of(sets) }
    }

    #[test]
    fn a_query_is_one_for_those_alone_who_see_the_same() {
        let all = QueryId::of("x", &Sight::all());
        assert_eq!(all, QueryId::of("x", &Sight::all()));
        assert_eq!(all.topic().as_str(), "query/18222c7377522b95");
        let sights = [sight(&[]), sight(&["team=a"]), sight(&["team=b"]), Sight::all()];
        for one in &sights {
            let topic = QueryId::of("x", one).topic();
            assert_ne!(topic, QueryId::of("y", one).topic());
            for other in &sights {
                let may_follow = QueryId::topics_of(other).matches(&topic);
                assert_eq!(may_follow, one == other, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_name_is_no_expression_of_the_same_text() {
        let [named, other] = ["x", "y"].map(|name| QueryId::named(name, &Sight::all()));
        assert_eq!(named.topic().as_str(), "query/53039cb7d96e005d");
        assert_ne!(named, other);
        assert_ne!(named, QueryId::of("x", &Sight::all()));
        let narrowed = QueryId::named("x", &sight(&["team=a"]));
        assert_ne!(named, narrowed);
        for id in [named, narrowed] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for text in ["", "x", "1", "query/1", &named.to_string().to_uppercase()] {
            assert_eq!(text.parse::<QueryId>(), Err(QueryIdError), "{text}");
        }
    }

    #[test]
    fn answers_are_followed_by_name_alone() {
        let topic = QueryId::of("x", &Sight::all()).topic();
        for text in ["**", "*/*", "*/**"] {
            let filter: crate::Filter = text.parse().expect("a filter");
            assert!(!filter.matches(&topic), "{text}");
            assert_eq!(filter.intersection(&(&topic).into()), None, "{text}");
        }
    }
}
