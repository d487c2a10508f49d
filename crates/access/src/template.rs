//! Templates of rights: texts with variables, which the claims of a subject fill in.
//!
//! `{sub}` is the subject, `{claim.team}` a claim. A claim that has several values makes several
//! rights, and a claim that is not there makes none.
//!
//! What a subject says of itself must never widen what was meant. So a value is put into what has
//! been parsed already: it is no more than a piece of one segment of a filter, or of the value of one
//! matcher, whatever it contains.

mod expression;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bellwire_model::limits::{FILTERS_OF_RIGHTS_MAX, RIGHTS_OF_TEMPLATE_MAX};
use bellwire_model::{Filter, FilterError, Matcher, MatcherError, Matchers, Operator};
use thiserror::Error;

use crate::claims::{Claim, Claims};

/// Stands for the variables of a text while it is parsed. Of a private plane: no text has them.
const MARKS: std::ops::RangeInclusive<char> = '\u{f0000}'..='\u{f00ff}';

/// What a template names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Variable {
    Subject,
    Claim(Box<str>),
}

impl Variable {
    /// What stands between braces, if it is one.
    fn named(name: &str) -> Option<Self> {
        let claim = |name: &str| Self::Claim(name.into());
        match name {
            "sub" => Some(Self::Subject),
            name => name.strip_prefix("claim.").filter(|name| !name.is_empty()).map(claim),
        }
    }

    /// Its values, none twice. An empty one is none: `{team=""}` would be everything that has no team.
    fn values<'a>(&self, claims: &'a Claims) -> Vec<&'a str> {
        let values = match self {
            Self::Subject => vec![&*claims.subject],
            Self::Claim(name) => {
                claims.get(name).map_or(&[][..], Claim::texts).iter().map(|text| &**text).collect()
            }
        };
        let mut seen = BTreeSet::from([""]);
        values.into_iter().filter(|value| seen.insert(value)).collect()
    }
}

/// A text with each of its variables replaced by a mark.
#[derive(Debug)]
struct Marked {
    text: String,
    variables: Vec<Variable>,
}

impl Marked {
    fn new(text: &str) -> Result<Self, TemplateError> {
        if text.chars().any(|character| MARKS.contains(&character)) {
            return Err(TemplateError::PrivateCharacter);
        }
        let (mut marked, mut variables) = (String::with_capacity(text.len()), Vec::new());
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            let (before, from) = rest.split_at(start);
            marked.push_str(before);
            let named = from[1..].split_once('}').filter(|(name, _)| !name.contains('{'));
            let named = named.and_then(|(name, behind)| Some((Variable::named(name)?, behind)));
            if let Some((variable, behind)) = named {
                let mark = MARKS.clone().nth(variables.len());
                marked.push(mark.ok_or(TemplateError::TooManyVariables)?);
                variables.push(variable);
                rest = behind;
            } else {
                // The brace of a matcher, or a mistake that whoever parses will find.
                marked.push('{');
                rest = &from[1..];
            }
        }
        marked.push_str(rest);
        Ok(Self { text: marked, variables })
    }

    /// The variable for which a character stands.
    fn index(character: char) -> Option<usize> {
        MARKS.contains(&character).then(|| character as usize - *MARKS.start() as usize)
    }
}

/// Goes through all combinations of the variables' values, as far as there may be and `each` goes on.
/// Whether those were all.
fn combinations<'a>(
    variables: &[Variable],
    claims: &'a Claims,
    mut each: impl FnMut(&[&'a str]) -> ControlFlow<()>,
) -> bool {
    let values: Vec<Vec<&str>> = variables.iter().map(|it| it.values(claims)).collect();
    // Any number of them times none is none.
    let count = values.iter().fold(1_usize, |count, values| count.saturating_mul(values.len()));
    let mut chosen = vec![""; values.len()];
    for number in 0..count.min(RIGHTS_OF_TEMPLATE_MAX) {
        let mut rest = number;
        for (place, values) in chosen.iter_mut().zip(&values) {
            *place = values[rest % values.len()];
            rest /= values.len();
        }
        if each(&chosen).is_break() {
            return false;
        }
    }
    count <= RIGHTS_OF_TEMPLATE_MAX
}

/// `text` with each mark replaced by what `value` makes of the variable's number.
fn fill<'a>(text: &str, value: impl Fn(usize) -> std::borrow::Cow<'a, str>) -> String {
    let mut filled = String::with_capacity(text.len());
    for character in text.chars() {
        match Marked::index(character) {
            Some(index) => filled.push_str(&value(index)),
            None => filled.push(character),
        }
    }
    filled
}

/// A filter of topics with variables: `devices/{sub}/**`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterTemplate {
    text: Box<str>,
    variables: Box<[Variable]>,
}

impl FilterTemplate {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        if let Some(name) = braced(text).find(|name| Variable::named(name).is_none()) {
            return Err(TemplateError::UnknownVariable { name: name.into() });
        }
        let Marked { text, variables } = Marked::new(text)?;
        text.parse::<Filter>()?;
        Ok(Self { text: text.into(), variables: variables.into() })
    }

    /// Whether it makes the same of all claims.
    pub(crate) fn is_fixed(&self) -> bool {
        self.variables.is_empty()
    }

    /// The filters that it makes of claims, one after the other while `keep` goes on. Whether those
    /// were all.
    pub(crate) fn resolve(
        &self,
        claims: &Claims,
        mut keep: impl FnMut(Filter) -> ControlFlow<()>,
    ) -> bool {
        combinations(&self.variables, claims, |values| {
            // Too long, or too odd for a topic: then there is no topic to have a right to.
            self.filled(values).map_or(ControlFlow::Continue(()), &mut keep)
        })
    }

    fn filled(&self, values: &[&str]) -> Option<Filter> {
        if !values.iter().all(|value| is_piece_of_a_segment(value)) {
            return None;
        }
        let text = fill(&self.text, |index| values[index].into());
        text.parse().ok().filter(|_| self.keeps_first_segment(&text))
    }

    /// Whether a filter is of the server's own topics only if the template says so itself.
    fn keeps_first_segment(&self, filled: &str) -> bool {
        filled.starts_with('$') == self.text.starts_with('$')
    }
}

/// Whether a value can neither end a segment nor stand for others.
fn is_piece_of_a_segment(value: &str) -> bool {
    !value.contains(['/', '*']) && !value.chars().any(char::is_control)
}

/// What stands between braces.
fn braced(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

/// Matchers with variables: `{team="{claim.team}"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MatchersTemplate {
    matchers: Matchers,
    variables: Box<[Variable]>,
}

impl MatchersTemplate {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let Marked { text: marked, variables } = Marked::new(text)?;
        let matchers: Matchers = marked.parse().map_err(|error| refusal(text, error))?;
        let has_mark = |text: &str| text.chars().any(|it| Marked::index(it).is_some());
        if matchers.iter().any(|matcher| has_mark(matcher.name())) {
            return Err(TemplateError::VariableInName);
        }
        for matcher in matchers.iter().filter(|matcher| has_mark(matcher.value())) {
            // One group more would be one way more to pass: all but mine would become all.
            if !matcher.operator().is_equal() {
                return Err(TemplateError::VariableExcludes);
            }
            if matcher.operator().is_regex() {
                expression::check(matcher.value())?;
            }
        }
        Ok(Self { matchers, variables: variables.into() })
    }

    /// Whether it makes the same of all claims.
    pub(crate) fn is_fixed(&self) -> bool {
        self.variables.is_empty()
    }

    /// The matchers that it makes of claims, one after the other while `keep` goes on. Whether those
    /// were all.
    pub(crate) fn resolve(
        &self,
        claims: &Claims,
        mut keep: impl FnMut(Matchers) -> ControlFlow<()>,
    ) -> bool {
        combinations(&self.variables, claims, |values| {
            let filled = self.matchers.iter().map(|matcher| filled(matcher, values));
            // What is too long for a matcher is no right.
            let filled = filled.collect::<Result<Vec<_>, _>>().and_then(Matchers::new);
            filled.map_or(ControlFlow::Continue(()), &mut keep)
        })
    }
}

/// What is wrong with matchers in which a mark is for each variable: in the words that were written,
/// where these are no matchers either.
fn refusal(text: &str, error: MatcherError) -> TemplateError {
    match (text.parse::<Matchers>(), error) {
        (Ok(_), MatcherError::Regex(_)) => TemplateError::VariableWithinSyntax,
        (Err(error), _) | (Ok(_), error) => error.into(),
    }
}

fn filled(matcher: &Matcher, values: &[&str]) -> Result<Matcher, MatcherError> {
    let operator = matcher.operator();
    let value = fill(matcher.value(), |index| match operator {
        Operator::Matches | Operator::NotMatches => expression::quoted(values[index]).into(),
        Operator::Equal | Operator::NotEqual => values[index].into(),
    });
    Matcher::new(matcher.name(), operator, &value)
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It is no filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// They are no matchers.
    #[error(transparent)]
    Matchers(#[from] MatcherError),
    /// Braces around something else.
    #[error("`{{{name}}}` is no variable: there are {{sub}} and {{claim.NAME}}")]
    UnknownVariable {
        /// What stands there.
        name: Box<str>,
    },
    /// A variable where the name of a label is.
    #[error("a variable stands in the value of a matcher, not in the name of its label")]
    VariableInName,
    /// A variable in `!=` or `!~`.
    #[error("a variable says what passes (`=`, `=~`): with `!=` more values would let more pass")]
    VariableExcludes,
    /// A variable in a part of an expression that is no text.
    #[error(
        "a variable of an expression stands for a text: not within `[…]`, `\\Q…\\E` or `(?…`, nor \
         behind `\\`"
    )]
    VariableWithinSyntax,
    /// A variable before `*`, `+`, `?` or `{2}`.
    #[error("a variable of an expression is not repeated; a group may be, as in `({{sub}})?`")]
    VariableRepeated,
    /// More entries than a list of rights may have.
    #[error("a role has at most {FILTERS_OF_RIGHTS_MAX} of them: name some together by wildcards")]
    TooManyEntries,
    /// More variables than there are marks.
    #[error("a text has at most 256 variables")]
    TooManyVariables,
    /// A character that nothing else may have.
    #[error("characters from U+F0000 to U+F00FF cannot be used here")]
    PrivateCharacter,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claims(subject: &str, teams: &[&str]) -> Claims {
        let list = Claim::List(teams.iter().map(|team| (*team).into()).collect());
        let values = [("team".into(), list)].into();
        Claims { subject: subject.into(), values, ends_at: None, issued_at: None, first: None }
    }

    fn resolved<T: ToString>(
        resolve: impl FnOnce(&mut dyn FnMut(T) -> ControlFlow<()>) -> bool,
    ) -> Vec<String> {
        let mut found = Vec::new();
        resolve(&mut |right| {
            found.push(right.to_string());
            ControlFlow::Continue(())
        });
        found
    }

    fn filters(template: &str, claims: &Claims) -> Vec<String> {
        resolved(|keep| FilterTemplate::parse(template).expect(template).resolve(claims, keep))
    }

    fn matchers(template: &str, claims: &Claims) -> Vec<String> {
        resolved(|keep| MatchersTemplate::parse(template).expect(template).resolve(claims, keep))
    }

    #[test]
    fn variables_are_filled_in() {
        let ada = claims("ada", &["red", "blue"]);
        assert_eq!(filters("devices/{sub}/**", &ada), ["devices/ada/**"]);
        assert_eq!(filters("t/{claim.team}/*", &ada), ["t/red/*", "t/blue/*"]);
        assert_eq!(filters("a/b", &ada), ["a/b"]);
        assert_eq!(filters("u/{claim.site}/**", &ada), [""; 0]);
        assert_eq!(matchers(r#"{by="{sub}"}"#, &ada), [r#"{by="ada"}"#]);
        let teams = [r#"{team="red",x!="1"}"#, r#"{team="blue",x!="1"}"#];
        assert_eq!(matchers(r#"{team="{claim.team}",x!="1"}"#, &ada), teams);
        assert_eq!(matchers("{}", &ada), ["{}"]);
        assert_eq!(matchers(r#"{team="{claim.site}"}"#, &ada), [""; 0]);
    }

    #[test]
    fn no_value_is_more_than_a_piece() {
        for subject in ["", "a/b", "*", "**", "a/**", "$sys\n"] {
            assert_eq!(filters("devices/{sub}/**", &claims(subject, &[])), [""; 0], "{subject:?}");
        }
        assert_eq!(filters("{sub}/**", &claims("$sys", &[])), [""; 0]);
        let odd = claims(r#"x",team=~".*"#, &[]);
        assert_eq!(matchers(r#"{by="{sub}"}"#, &odd), [r#"{by="x\",team=~\".*"}"#]);
        let wild = claims("a|.*", &[]);
        assert_eq!(
            matchers(r#"{by=~"{sub}|shared"}"#, &wild),
            [r#"{by=~"(?:a\\|\\.\\*)|shared"}"#]
        );
        assert_eq!(
            filters("x/{claim.sub}", &claims("a", &[])),
            [""; 0],
            "a claim, not the subject"
        );
        let nested = claims("{claim.team}", &["red"]);
        assert_eq!(filters("d/{sub}", &nested), ["d/{claim.team}"], "a value is no template");
    }

    #[test]
    fn what_is_no_template_is_told() {
        let of_filter = |text: &str| FilterTemplate::parse(text).expect_err(text).to_string();
        assert_eq!(
            of_filter("d/{subject}"),
            "`{subject}` is no variable: there are {sub} and {claim.NAME}"
        );
        assert!(of_filter("d//{sub}").contains("segment"));
        assert!(of_filter("d/{sub}*").contains("whole segment"));
        let of_matchers = |text: &str| MatchersTemplate::parse(text).expect_err(text);
        assert_eq!(of_matchers(r#"{{sub}="x"}"#), TemplateError::VariableInName);
        assert_eq!(of_matchers("{a=\"\u{f0001}\"}"), TemplateError::PrivateCharacter);
        for excludes in [r#"{team!="{sub}"}"#, r#"{team!~"a|{claim.team}"}"#] {
            assert_eq!(of_matchers(excludes), TemplateError::VariableExcludes);
        }
        let within = of_matchers(r#"{team=~"[{sub}]"}"#);
        assert_eq!(within, TemplateError::VariableWithinSyntax);
        // A mark cannot be escaped.
        let escaped = of_matchers(r#"{team=~"a\\{sub}"}"#);
        assert_eq!(escaped, TemplateError::VariableWithinSyntax);
        let told = of_matchers(r#"{team=~"({sub}"}"#).to_string();
        assert!(told.contains("`({sub}`"), "{told}");
    }

    #[test]
    fn there_is_a_bound_to_what_claims_make() {
        let many: Vec<String> = (0..RIGHTS_OF_TEMPLATE_MAX + 9).map(|n| format!("t{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let found = filters("{claim.team}/{claim.team}", &claims("a", &many));
        assert_eq!(found.len(), RIGHTS_OF_TEMPLATE_MAX);
        let repeated = vec!["red"; RIGHTS_OF_TEMPLATE_MAX];
        let found = filters("{claim.team}", &claims("a", &[&*repeated, &["blue"]].concat()));
        assert_eq!(found, ["red", "blue"], "one value is one, however often it is said");
    }

    proptest! {
        #[test]
        fn whatever_the_subject_its_rights_are_within_the_template(subject in any::<String>()) {
            let ada = claims(&subject, &[]);
            let found = filters("devices/{sub}/**", &ada);
            let wider: Filter = "devices/*/**".parse().expect("valid");
            let covers = |filter: &String| wider.covers(&filter.parse().expect("a filter"));
            prop_assert!(found.iter().all(covers), "{:?}", found);
            let found = matchers(r#"{by=~"{sub}|s"}"#, &ada);
            let found: Vec<Matchers> = found.iter().map(|it| it.parse().expect("matchers")).collect();
            for matcher in found.iter().flat_map(Matchers::iter) {
                prop_assert_eq!(matcher.name(), "by");
                prop_assert!(matcher.passes(&subject) && matcher.passes("s"));
                prop_assert_eq!(matcher.passes("other"), subject == "other");
            }
        }
    }
}
