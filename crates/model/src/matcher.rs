//! Matchers: tests of labels, as silences, routes, filters of requests and scopes have them.
//!
//! `severity="critical"`, `site=~"oslo|bergen"`: a name, one of four operators, a value. The text
//! form is Alertmanager's, in both of its syntaxes.

mod classic;
mod utf8;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use bellwire_re2::{Dot, Pattern};
use thiserror::Error;

use crate::labels::Labels;
use crate::limits::{
    LABEL_NAME_BYTES_MAX, MATCHER_VALUE_BYTES_MAX, MATCHERS_MAX, MATCHERS_REGEX_BYTES_MAX,
    MATCHING_STEPS_MAX,
};

/// What matchers take beside each of them: the pointer, its counts, and what allocations waste.
const MATCHERS_OVERHEAD_BYTES: usize = 48;

/// As how many steps it counts to read a label.
const LABEL_STEPS: usize = 4;

/// How a matcher compares a label with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// `=`: the label is the value.
    Equal,
    /// `!=`: it is not.
    NotEqual,
    /// `=~`: the value, an expression, matches all of the label.
    Matches,
    /// `!~`: it does not.
    NotMatches,
}

impl Operator {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }

    /// Whether the value is a regular expression.
    pub const fn is_regex(self) -> bool {
        matches!(self, Self::Matches | Self::NotMatches)
    }

    /// Whether a label passes that is, or matches, the value.
    pub const fn is_equal(self) -> bool {
        matches!(self, Self::Equal | Self::Matches)
    }

    /// The operator at the start of `text`, and what follows it.
    fn at_start(text: &str) -> Option<(Self, &str)> {
        // `=~` before `=`, so that the tilde does not become a part of the value.
        [Self::Matches, Self::Equal, Self::NotEqual, Self::NotMatches]
            .into_iter()
            .find_map(|operator| text.strip_prefix(operator.as_str()).map(|rest| (operator, rest)))
    }
}

/// A test of one label. A label that an alert lacks reads as empty.
#[derive(Clone)]
pub struct Matcher {
    name: Box<str>,
    operator: Operator,
    value: Box<str>,
    /// The value as an expression, where the operator asks for one.
    regex: Option<Pattern>,
}

impl Matcher {
    /// A matcher of these parts.
    pub fn new(name: &str, operator: Operator, value: &str) -> Result<Self, MatcherError> {
        if name.is_empty() {
            return Err(MatcherError::NoName);
        }
        if name.len() > LABEL_NAME_BYTES_MAX {
            return Err(MatcherError::NameTooLong { bytes: name.len() });
        }
        if value.len() > MATCHER_VALUE_BYTES_MAX {
            return Err(MatcherError::ValueTooLong { bytes: value.len() });
        }
        let regex = operator.is_regex().then(|| Pattern::new(value, Dot::WithinLine));
        let regex = regex.transpose()?;
        Ok(Self { name: name.into(), operator, value: value.into(), regex })
    }

    /// The label that it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What it compares with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label with this value passes.
    pub fn passes(&self, value: &str) -> bool {
        let is_equal = match &self.regex {
            Some(regex) => regex.matches(value),
            None => *self.value == *value,
        };
        is_equal == self.operator.is_equal()
    }

    /// The same; nothing where an expression takes more steps than are left to find out.
    fn passes_within(&self, value: &str, steps: &mut usize) -> Option<bool> {
        let is_equal = match &self.regex {
            Some(regex) => regex.matches_within(value, steps)?,
            None => *self.value == *value,
        };
        Some(is_equal == self.operator.is_equal())
    }

    /// The only values with which a label passes, where they are few: sorted.
    pub fn values(&self) -> Option<&[Box<str>]> {
        match (self.operator, &self.regex) {
            (Operator::Equal, _) => Some(std::slice::from_ref(&self.value)),
            (Operator::Matches, Some(regex)) => regex.texts(),
            _ => None,
        }
    }

    /// Whether it compares texts only.
    fn is_quick(&self) -> bool {
        self.regex.as_ref().is_none_or(|regex| regex.texts().is_some())
    }

    /// Bytes of its expression, compiled.
    fn regex_bytes(&self) -> usize {
        self.regex.as_ref().map_or(0, Pattern::bytes)
    }

    /// Whether an alert with these labels passes.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.passes(labels.get(&self.name).unwrap_or_default())
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Matcher {}

impl Ord for Matcher {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Matcher {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl Matcher {
    /// What makes one matcher differ from another.
    fn parts(&self) -> (&str, Operator, &str) {
        (&self.name, self.operator, &self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Matcher {
    /// As both syntaxes read it; a name that the classic one cannot hold is quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.chars().any(utf8::is_reserved) {
            write!(f, "\"{}\"", Escaped(&self.name))?;
        } else {
            f.write_str(&self.name)?;
        }
        write!(f, "{}\"{}\"", self.operator.as_str(), Escaped(&self.value))
    }
}

/// A text as it stands between quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\n' => f.write_str("\\n")?,
                '"' | '\\' => write!(f, "\\{character}")?,
                _ => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Matcher {
    type Err = MatcherError;

    /// One matcher, without braces.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('{') || text.ends_with('}') {
            return Err(MatcherError::Braces { text: text.into() });
        }
        let classic_error = match classic::matcher(text) {
            Ok(matcher) => return Ok(matcher),
            Err(error) => error,
        };
        let Ok(Ok(Matchers(matchers))) = utf8::matchers(text) else { return Err(classic_error) };
        match &*matchers {
            [matcher] => Ok(matcher.clone()),
            _ => Err(classic_error),
        }
    }
}

/// Matchers that are made one by one: to compile one takes its time, and behind the first for which
/// there is no room none need be made.
#[derive(Debug, Default)]
pub struct MatchersBuilder {
    matchers: Vec<Matcher>,
    regex_bytes: usize,
}

impl MatchersBuilder {
    /// Adds one, if there may be one more.
    pub fn push(&mut self, matcher: Matcher) -> Result<(), MatcherError> {
        if self.matchers.len() >= MATCHERS_MAX {
            return Err(MatcherError::TooMany);
        }
        self.regex_bytes += matcher.regex_bytes();
        if self.regex_bytes > MATCHERS_REGEX_BYTES_MAX {
            return Err(MatcherError::TooLarge);
        }
        self.matchers.push(matcher);
        Ok(())
    }

    /// All of them.
    pub fn finish(self) -> Matchers {
        Matchers(self.matchers.into())
    }
}

/// Matchers that an alert must pass all of. Without any, every alert passes. Cloning them is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Matchers(Arc<[Matcher]>);

impl Matchers {
    /// All of these. Whoever makes them one by one has a [`MatchersBuilder`].
    pub fn new(matchers: Vec<Matcher>) -> Result<Self, MatcherError> {
        let mut builder = MatchersBuilder::default();
        matchers.into_iter().try_for_each(|matcher| builder.push(matcher))?;
        Ok(builder.finish())
    }

    /// The same, sorted and none twice.
    pub(crate) fn canonical(&self) -> Self {
        if self.0.is_sorted_by(|one, other| one < other) {
            return self.clone();
        }
        let mut matchers = self.0.to_vec();
        matchers.sort_unstable();
        matchers.dedup();
        Self(matchers.into())
    }

    /// Bytes of all their expressions, compiled.
    pub fn regex_bytes(&self) -> usize {
        self.iter().map(Matcher::regex_bytes).sum()
    }

    /// Bytes that they keep, about: their texts with what is around each, and their expressions
    /// compiled.
    pub fn size_bytes(&self) -> usize {
        let of_one = |it: &Matcher| size_of::<Matcher>() + it.name.len() + it.value.len();
        MATCHERS_OVERHEAD_BYTES + self.regex_bytes() + self.iter().map(of_one).sum::<usize>()
    }

    /// Whether an alert with these labels passes all of them.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.quick_first().all(|matcher| matcher.matches(labels))
    }

    /// The same; nothing where it takes more steps than are left to find out. One is a byte that an
    /// expression looks at.
    pub fn matches_within(&self, labels: &Labels, steps: &mut usize) -> Option<bool> {
        for matcher in self.quick_first() {
            *steps = steps.checked_sub(LABEL_STEPS)?;
            let value = labels.get(&matcher.name).unwrap_or_default();
            if !matcher.passes_within(value, steps)? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// The same of matchers that anybody may write, and in how many steps: an alert does not pass
    /// where that takes more than [`MATCHING_STEPS_MAX`] to find out. It is so whenever it is asked.
    pub fn matches_briefly(&self, labels: &Labels) -> (bool, usize) {
        let mut left = MATCHING_STEPS_MAX;
        match self.matches_within(labels, &mut left) {
            Some(passes) => (passes, MATCHING_STEPS_MAX - left),
            None => (false, MATCHING_STEPS_MAX),
        }
    }

    /// Each of them, expressions last: most alerts, and all that are kept from somebody by a value,
    /// are told by what costs nothing.
    fn quick_first(&self) -> impl Iterator<Item = &Matcher> {
        let (quick, slow) = (self.iter(), self.iter());
        quick.filter(|it| it.is_quick()).chain(slow.filter(|it| !it.is_quick()))
    }

    /// Each of them, in the order in which they were given.
    pub fn iter(&self) -> std::slice::Iter<'_, Matcher> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Matchers {
    type Item = &'a Matcher;
    type IntoIter = std::slice::Iter<'a, Matcher>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, matcher) in self.iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            write!(f, "{separator}{matcher}")?;
        }
        f.write_str("}")
    }
}

impl FromStr for Matchers {
    type Err = MatcherError;

    /// Matchers with commas between them, with or without braces around them.
    ///
    /// What the classic syntax reads is read so: where both read a text but differently, as
    /// `a="\t"`, silences and routes that people have must keep their meaning.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let of_utf8 = |error| utf8::matchers(text).unwrap_or(Err(error));
        classic::matchers(text).or_else(of_utf8)
    }
}

/// Why something is no matcher. The texts are those that users of Alertmanager know.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum MatcherError {
    /// Neither syntax reads it.
    #[error("bad matcher format: {text}")]
    Format {
        /// What was to be read.
        text: Box<str>,
    },
    /// A quote within a value.
    #[error("matcher value contains unescaped double quote: {value}")]
    Quote {
        /// The value as it was written.
        value: Box<str>,
    },
    /// Braces around what is to be one matcher.
    #[error("unexpected open or close brace: {text}")]
    Braces {
        /// What was to be read.
        text: Box<str>,
    },
    /// A value that is no regular expression.
    #[error(transparent)]
    Regex(#[from] bellwire_re2::Error),
    /// A label without a name.
    #[error("a matcher has a label name")]
    NoName,
    /// A name longer than [`LABEL_NAME_BYTES_MAX`].
    #[error("a label name has at most {LABEL_NAME_BYTES_MAX} bytes, this one has {bytes}")]
    NameTooLong {
        /// The length found.
        bytes: usize,
    },
    /// A value longer than [`MATCHER_VALUE_BYTES_MAX`].
    #[error("a matcher's value has at most {MATCHER_VALUE_BYTES_MAX} bytes, this one has {bytes}")]
    ValueTooLong {
        /// The length found.
        bytes: usize,
    },
    /// Expressions that take more than [`MATCHERS_REGEX_BYTES_MAX`].
    #[error(
        "the regular expressions of matchers take at most {MATCHERS_REGEX_BYTES_MAX} bytes \
         compiled, these take more: repeat smaller classes, or fewer times"
    )]
    TooLarge,
    /// More than [`MATCHERS_MAX`].
    #[error("there are at most {MATCHERS_MAX} matchers, these are more")]
    TooMany,
}

/// The UTF-8 syntax does not read a text; what the classic one says of it is what users get.
#[derive(Debug)]
struct Unreadable;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_prints_the_same_in_one_form() {
        let table = [
            ("", "{}"),
            ("{}", "{}"),
            ("foo=bar", r#"{foo="bar"}"#),
            (r#"{foo="bar"}"#, r#"{foo="bar"}"#),
            (r#" {foo="bar"} "#, r#"{foo="bar"}"#),
            ("foo=bar,", r#"{foo="bar"}"#),
            ("foo=bar, dings!=bums", r#"{foo="bar",dings!="bums"}"#),
            (r#"{a="b",c=~"d.*"}"#, r#"{a="b",c=~"d.*"}"#),
            ("foo!~[a-z]+", r#"{foo!~"[a-z]+"}"#),
            (r#"job="x,y", b="#, r#"{job="x,y",b=""}"#),
            (r#"{q="She said: \"Hi, you!\""}"#, r#"{q="She said: \"Hi, you!\""}"#),
            // The classic syntax takes nearly anything as a value.
            ("tricky=~~~", r#"{tricky=~"~~"}"#),
            (r#"trickier==\\=\=\""#, r#"{trickier="=\\=\\=\""}"#),
            ("{foo=bar}}", r#"{foo="bar}"}"#),
            (r"{foo=bar\t}", r#"{foo="bar\\t"}"#),
            (r"{foo=bar\n}", r#"{foo="bar\n"}"#),
            (r"{foo=bar\}", r#"{foo="bar\\"}"#),
            ("{foo='}", r#"{foo="'"}"#),
            // Both read it, and the classic syntax wins.
            (r#"foo="bar\t""#, r#"{foo="bar\\t"}"#),
            // Only the UTF-8 syntax knows quoted names, and names beyond ASCII.
            (r#""foo"="bar""#, r#"{foo="bar"}"#),
            (r#"{"foo bar"="x","b"!="y",}"#, r#"{"foo bar"="x",b!="y"}"#),
            (r#"{"a"="bar\t"}"#, "{a=\"bar\t\"}"),
            (r#"{"a"="\xf0\x9f\x99\x82 \U0001f642 \u00e9 \101"}"#, r#"{a="🙂 🙂 é A"}"#),
            ("føø=🙂", r#"{føø="🙂"}"#),
            ("a-name = x", r#"{a-name="x"}"#),
            (r#"{"foo"=~"\\d+"}"#, r#"{foo=~"\\d+"}"#),
        ];
        for (text, expected) in table {
            let matchers: Matchers = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(matchers.to_string(), expected, "{text}");
            assert_eq!(matchers.to_string().parse(), Ok(matchers), "{text}, printed");
        }
    }

    #[test]
    fn what_is_not_read_has_a_reason() {
        let table = [
            (",", "bad matcher format: "),
            ("{,}", "bad matcher format: "),
            ("foo", "bad matcher format: foo"),
            ("=bar", "bad matcher format: =bar"),
            ("a=b,,", "bad matcher format: "),
            ("{{foo=", "bad matcher format: {foo="),
            (r#"job="value"#, "matcher value contains unescaped double quote: \"value"),
            (r#"job=value""#, "matcher value contains unescaped double quote: value\""),
            (r#"a = foo"bar"#, "matcher value contains unescaped double quote: foo\"bar"),
            (r#"{"foo"=~"\d+"}"#, r#"bad matcher format: "foo"=~"\d+""#),
            (r#"{"foo"="\xf0\x9f"}"#, r#"bad matcher format: "foo"="\xf0\x9f""#),
            (r#"{"foo"="bar"#, r#"bad matcher format: "foo"="bar"#),
            (r#"foo=~"a[""#, "error parsing regexp: missing closing ]: `[`"),
            (r#"foo=~"a\\q""#, r"error parsing regexp: invalid escape sequence: `\q`"),
        ];
        for (text, expected) in table {
            let error = text.parse::<Matchers>().expect_err(text);
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn one_matcher_has_no_braces() {
        let matcher: Matcher = "a!=b".parse().expect("a matcher");
        assert_eq!(
            (matcher.name(), matcher.operator(), matcher.value()),
            ("a", Operator::NotEqual, "b")
        );
        let quoted: Matcher = r#""a b"=c"#.parse().expect("a matcher");
        assert_eq!(quoted.name(), "a b");
        for text in ["{a=b}", "a=b}", r#""a"=b,"c"=d"#, ""] {
            assert!(text.parse::<Matcher>().is_err(), "{text}");
        }
    }

    #[test]
    fn labels_pass_as_in_alertmanager() {
        let labels = Labels::from_pairs([
            ("job", "node"),
            ("name", "café"),
            ("path", "/api/{id}/x"),
            ("text", "a\nb"),
        ]);
        let labels = labels.expect("labels");
        let table = [
            ("", true),
            ("job=node", true),
            ("job=nod", false),
            ("job!=node", false),
            ("job!=other", true),
            // All of the label, alternatives included.
            ("job=~no|de", false),
            ("job=~x|node", true),
            ("job=~nod.", true),
            ("job!~nod.", false),
            ("job!~od", true),
            // Expressions are RE2's.
            (r#"path=~"/api/{id}/.*""#, true),
            (r#"name=~"\\w+""#, false),
            (r#"name=~"[a-zé&&f]+""#, true),
            // A line break is no character that `.` stands for.
            ("text=~a.b", false),
            // A label that is not there is empty.
            ("site=", true),
            ("site!=", false),
            ("site=~.*", true),
            ("site=~.+", false),
            ("site!=oslo", true),
            ("site!~oslo", true),
            // All of them.
            ("job=node,site=oslo", false),
            (r#"job=node,site=~"oslo|""#, true),
        ];
        for (text, expected) in table {
            let matchers: Matchers = text.parse().expect(text);
            assert_eq!(matchers.matches(&labels), expected, "{text}");
        }
    }

    #[test]
    fn bounds_refuse() {
        let many = "a=b,".repeat(MATCHERS_MAX + 1);
        assert_eq!(many.parse::<Matchers>(), Err(MatcherError::TooMany));
        let long = "x".repeat(MATCHER_VALUE_BYTES_MAX + 1);
        let error = Matcher::new("a", Operator::Equal, &long);
        assert_eq!(error, Err(MatcherError::ValueTooLong { bytes: long.len() }));
        let large = Matcher::new("a", Operator::Matches, "(?:[a-z]{1000}){1000}");
        assert!(matches!(large, Err(MatcherError::Regex(_))));
        let large = Matcher::new("a", Operator::Matches, "[^x]{900}").expect("it is small enough");
        let many = Matchers::new(vec![large; MATCHERS_MAX]);
        assert_eq!(many, Err(MatcherError::TooLarge));
        assert_eq!(Matcher::new("", Operator::Equal, "x"), Err(MatcherError::NoName));
    }

    #[test]
    fn an_expression_is_asked_last_and_for_so_many_steps_only() {
        // Thousands of states are possible at each byte.
        let slow = r#"path=~"(?:(?:.?){900}x)*""#;
        let labels = |path: &str, team: &str| {
            Labels::from_pairs([("path", path), ("team", team)]).expect("labels")
        };
        let steps_of = |text: &str, labels: &Labels| {
            text.parse::<Matchers>().expect(text).matches_briefly(labels)
        };
        let long = "ab".repeat(2_048);
        assert_eq!(steps_of(slow, &labels(&long, "red")), (false, MATCHING_STEPS_MAX));
        for order in [format!("{slow},team=blue"), format!(r#"{slow},team=~"blue|green""#)] {
            let (passes, steps) = steps_of(&order, &labels(&long, "red"));
            assert!(!passes && steps <= LABEL_STEPS, "{steps} for another team's alert");
        }
        assert!(steps_of(slow, &labels("", "red")).0, "what is told in time is told");
        // Not to match is to be told in time, too.
        let without = slow.replace("=~", "!~");
        assert_eq!(steps_of(&without, &labels(&long, "red")), (false, MATCHING_STEPS_MAX));
        // A thousand names with anything around them are no attack.
        let names: Vec<String> = (0..1_000).map(|n| format!(".*node-{n}-x.*")).collect();
        let names: Matchers = format!("path=~\"{}\"", names.join("|")).parse().expect("names");
        let path = "https://node-777-x.oslo.example.com:9100/metrics";
        let (passes, steps) = names.matches_briefly(&labels(path, "red"));
        assert!(passes, "{steps}");
        // What people write has time for the longest label.
        for text in [r#"path=~".*(foo|bar).*""#, r#"path!~"(?i)node-\\d+\\.(?:oslo|bergen)\\..*""#]
        {
            let matchers: Matchers = text.parse().expect(text);
            let (passes, steps) = matchers.matches_briefly(&labels(&long, "red"));
            assert_eq!(passes, matchers.matches(&labels(&long, "red")), "{text}");
            assert!(steps < MATCHING_STEPS_MAX, "{text}: {steps}");
        }
    }

    proptest::proptest! {
        /// So records hold them.
        #[test]
        fn a_matcher_is_read_as_it_is_printed(
            name in "[a-z\"\\\\ {}=!~,é'\t\n\r\u{0}\u{7f}\u{85}\u{2028}]{1,4}",
            value in "[a-z\"\\\\ {}=!~,é'\t\n\r\u{0}\u{7f}\u{85}\u{2028}]{0,4}",
        ) {
            let matcher = Matcher::new(&name, Operator::NotEqual, &value).expect("a matcher");
            proptest::prop_assert_eq!(matcher.to_string().parse(), Ok(matcher));
        }
    }

    /// What stands behind is no matcher, which nobody finds out.
    #[test]
    fn nothing_is_made_behind_what_there_is_no_room_for() {
        for name in ["a", "\"a\""] {
            let broken = format!("{name}=~\"[\"");
            let many = format!("{name}=~\"x\",").repeat(MATCHERS_MAX + 1);
            let large = format!("{name}=~\"[^x]{{900}}\",").repeat(MATCHERS_MAX);
            assert_eq!(format!("{many}{broken}").parse::<Matchers>(), Err(MatcherError::TooMany));
            assert_eq!(format!("{large}{broken}").parse::<Matchers>(), Err(MatcherError::TooLarge));
            assert!(broken.parse::<Matchers>().is_err());
        }
    }
}
