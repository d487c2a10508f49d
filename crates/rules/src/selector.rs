//! Which series a rule looks at.

use bellwire_model::{Labels, METRIC_NAME};
use bellwire_re2::Pattern;

use crate::patterns::Patterns;

/// As how many steps it counts to read a label. One is a byte that an expression looks at.
const READ_STEPS: usize = 4;

/// A metric name, matchers, or both.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    name: Option<Box<str>>,
    matchers: Box<[Matcher]>,
}

/// A test of one label. A label that a series lacks reads as empty, so a test that the empty text
/// passes selects series without the label too.
#[derive(Clone, Debug)]
struct Matcher {
    label: Box<str>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Equal(Box<str>),
    NotEqual(Box<str>),
    Match(Pattern),
    NotMatch(Pattern),
}

impl Selector {
    /// The selector that the parser read.
    pub(crate) fn new(
        parsed: &promql_parser::parser::VectorSelector,
        patterns: &mut Patterns,
    ) -> Result<Self, bellwire_re2::Error> {
        let mut name = parsed.name.as_deref().map(Box::from);
        let mut matchers = Vec::new();
        for matcher in &parsed.matchers.matchers {
            let test = Test::new(matcher, patterns)?;
            match test {
                Test::Equal(value) if name.is_none() && matcher.name == METRIC_NAME => {
                    name = Some(value);
                }
                test => matchers.push(Matcher { label: matcher.name.as_str().into(), test }),
            }
        }
        Ok(Self { name, matchers: matchers.into() })
    }

    /// The only metric name that it selects, where there is only one.
    pub(crate) fn metric_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether it may select a series of which only some labels are known, among them its name.
    pub(crate) fn may_select<'l>(&self, known: impl Fn(&str) -> Option<&'l str>) -> bool {
        let passes = |matcher: &Matcher| {
            known(&matcher.label).is_none_or(|value| matcher.test.passes(value))
        };
        self.name.as_deref().is_none_or(|name| known(METRIC_NAME) == Some(name))
            && self.matchers.iter().all(passes)
    }

    /// Whether it selects the series with these labels.
    pub(crate) fn selects(&self, series: &Labels) -> bool {
        let read = |label: &str| series.get(label).unwrap_or_default();
        self.name.as_deref().is_none_or(|name| read(METRIC_NAME) == name)
            && self.matchers.iter().all(|matcher| matcher.test.passes(read(&matcher.label)))
    }

    /// A label, and its values in whatever it selects, where one of its matchers says so; they are
    /// `max` at most.
    pub(crate) fn values(&self, max: usize) -> Option<(&str, Vec<&str>)> {
        self.matchers.iter().filter(|matcher| *matcher.label != *METRIC_NAME).find_map(|matcher| {
            // What is empty is not there, so that no series would be found by it.
            let values = matcher.test.values(max)?;
            values.iter().all(|value| !value.is_empty()).then_some((&*matcher.label, values))
        })
    }

    /// Whether it selects all series of its metric.
    pub(crate) fn is_of_all(&self) -> bool {
        self.matchers.is_empty()
    }

    /// Makes the tables of its expressions, as long as bytes are left for that.
    pub(crate) fn make_tables(&self, bytes_left: &mut usize) {
        for matcher in &self.matchers {
            if let Test::Match(pattern) | Test::NotMatch(pattern) = &matcher.test
                && *bytes_left > 0
            {
                *bytes_left = bytes_left.saturating_sub(pattern.make_table());
            }
        }
    }

    /// The same; nothing where it takes more steps than are left to find out.
    pub(crate) fn selects_within(&self, series: &Labels, steps: &mut usize) -> Option<bool> {
        let read = |label: &str| series.get(label).unwrap_or_default();
        *steps = steps.checked_sub(READ_STEPS)?;
        if self.name.as_deref().is_some_and(|name| read(METRIC_NAME) != name) {
            return Some(false);
        }
        for matcher in &self.matchers {
            *steps = steps.checked_sub(READ_STEPS)?;
            if !matcher.test.passes_within(read(&matcher.label), steps)? {
                return Some(false);
            }
        }
        Some(true)
    }
}

impl Test {
    fn new(
        matcher: &promql_parser::label::Matcher,
        patterns: &mut Patterns,
    ) -> Result<Self, bellwire_re2::Error> {
        use promql_parser::label::MatchOp;
        let mut pattern = || patterns.compile(&matcher.value);
        Ok(match &matcher.op {
            MatchOp::Equal => Self::Equal(matcher.value.as_str().into()),
            MatchOp::NotEqual => Self::NotEqual(matcher.value.as_str().into()),
            MatchOp::Re(_) => Self::Match(pattern()?),
            MatchOp::NotRe(_) => Self::NotMatch(pattern()?),
        })
    }

    /// All values that pass, where they are few.
    fn values(&self, max: usize) -> Option<Vec<&str>> {
        match self {
            Self::Equal(value) => Some(vec![&**value]),
            Self::Match(pattern) => {
                let texts = pattern.texts().filter(|texts| texts.len() <= max)?;
                Some(texts.iter().map(|text| &**text).collect())
            }
            Self::NotEqual(_) | Self::NotMatch(_) => None,
        }
    }

    fn passes(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => &**wanted == value,
            Self::NotEqual(unwanted) => &**unwanted != value,
            Self::Match(regex) => regex.matches(value),
            Self::NotMatch(regex) => !regex.matches(value),
        }
    }

    fn passes_within(&self, value: &str, steps: &mut usize) -> Option<bool> {
        match self {
            Self::Match(regex) => regex.matches_within(value, steps),
            Self::NotMatch(regex) => regex.matches_within(value, steps).map(|matches| !matches),
            Self::Equal(_) | Self::NotEqual(_) => Some(self.passes(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_select_as_in_prometheus() {
        let series = Labels::from_pairs([(METRIC_NAME, "up"), ("job", "node"), ("text", "a\nb")]);
        let series = series.expect("labels");
        let table = [
            ("up", true),
            ("down", false),
            (r#"{__name__="up"}"#, true),
            (r#"{"up"}"#, true),
            (r#"{__name__=~"u.+"}"#, true),
            (r#"{__name__="up",__name__="down"}"#, false),
            (r#"up{job="node"}"#, true),
            (r#"up{job="nod"}"#, false),
            (r#"up{job!="node"}"#, false),
            (r#"up{job!="other"}"#, true),
            // Anchored on both sides, alternatives included.
            (r#"up{job=~"od"}"#, false),
            (r#"up{job=~"no|de"}"#, false),
            (r#"up{job=~"x|node"}"#, true),
            (r#"up{job!~"nod."}"#, false),
            (r#"up{job!~"od"}"#, true),
            (r#"up{text=~"a.b"}"#, true),
            // A label that is not there is empty.
            (r#"up{site=""}"#, true),
            (r#"up{site!=""}"#, false),
            (r#"up{site=~".*"}"#, true),
            (r#"up{site=~".+"}"#, false),
            (r#"up{site!="oslo"}"#, true),
            (r#"up{site!~"oslo"}"#, true),
            (r#"up{job=""}"#, false),
            (r#"up{job="node",site=~"oslo|"}"#, true),
        ];
        for (text, expected) in table {
            let parsed = promql_parser::parser::parse(text).expect(text);
            let promql_parser::parser::Expr::VectorSelector(parsed) = parsed else {
                panic!("{text} is no selector");
            };
            let selector = Selector::new(&parsed, &mut Patterns::default()).expect(text);
            assert_eq!(selector.selects(&series), expected, "{text}");
        }
    }
}
