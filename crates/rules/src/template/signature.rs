//! The functions of templates by name, and what each takes.

/// A function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function(&'static Signature);

#[derive(Debug)]
struct Signature {
    name: &'static str,
    kind: Kind,
    takes: &'static [Parameter],
    /// What it takes any number of beyond that.
    more: Option<Parameter>,
}

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    /// Anything.
    Any,
    Text,
    Sample,
    List,
    Duration,
    Time,
}

/// Which function it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    And,
    Args,
    Call,
    Equal,
    ExternalUrl,
    First,
    Greater,
    GreaterOrEqual,
    GraphLink,
    Html,
    Humanize,
    Humanize1024,
    HumanizeDuration,
    HumanizePercentage,
    HumanizeTimestamp,
    Index,
    Javascript,
    Label,
    Length,
    Less,
    LessOrEqual,
    Lower,
    Match,
    Not,
    NotEqual,
    Now,
    Or,
    ParseDuration,
    PathPrefix,
    Print,
    PrintFormat,
    PrintLine,
    Query,
    QueryEscape,
    Replace,
    SafeHtml,
    Slice,
    SortByLabel,
    StringValue,
    StripDomain,
    StripPort,
    TableLink,
    Title,
    ToDuration,
    ToTime,
    Upper,
    UrlQuery,
    Value,
}

const fn row(
    name: &'static str,
    kind: Kind,
    takes: &'static [Parameter],
    more: Option<Parameter>,
) -> Signature {
    Signature { name, kind, takes, more }
}

const ANY: &[Parameter] = &[Parameter::Any];
const TEXT: &[Parameter] = &[Parameter::Text];
const MORE: Option<Parameter> = Some(Parameter::Any);

/// Go's own functions, then those of Prometheus.
const SIGNATURES: &[Signature] = &[
    row("and", Kind::And, ANY, MORE),
    row("call", Kind::Call, ANY, MORE),
    row("html", Kind::Html, &[], MORE),
    row("index", Kind::Index, ANY, MORE),
    row("slice", Kind::Slice, ANY, MORE),
    row("js", Kind::Javascript, &[], MORE),
    row("len", Kind::Length, ANY, None),
    row("not", Kind::Not, ANY, None),
    row("or", Kind::Or, ANY, MORE),
    row("print", Kind::Print, &[], MORE),
    row("printf", Kind::PrintFormat, TEXT, MORE),
    row("println", Kind::PrintLine, &[], MORE),
    row("urlquery", Kind::UrlQuery, &[], MORE),
    row("eq", Kind::Equal, ANY, MORE),
    row("ge", Kind::GreaterOrEqual, &[Parameter::Any; 2], None),
    row("gt", Kind::Greater, &[Parameter::Any; 2], None),
    row("le", Kind::LessOrEqual, &[Parameter::Any; 2], None),
    row("lt", Kind::Less, &[Parameter::Any; 2], None),
    row("ne", Kind::NotEqual, &[Parameter::Any; 2], None),
    row("args", Kind::Args, &[], MORE),
    row("externalURL", Kind::ExternalUrl, &[], None),
    row("first", Kind::First, &[Parameter::List], None),
    row("graphLink", Kind::GraphLink, TEXT, None),
    row("humanize", Kind::Humanize, ANY, None),
    row("humanize1024", Kind::Humanize1024, ANY, None),
    row("humanizeDuration", Kind::HumanizeDuration, ANY, None),
    row("humanizePercentage", Kind::HumanizePercentage, ANY, None),
    row("humanizeTimestamp", Kind::HumanizeTimestamp, ANY, None),
    row("label", Kind::Label, &[Parameter::Text, Parameter::Sample], None),
    row("match", Kind::Match, &[Parameter::Text; 2], None),
    row("now", Kind::Now, &[], None),
    row("parseDuration", Kind::ParseDuration, TEXT, None),
    row("pathPrefix", Kind::PathPrefix, &[], None),
    row("query", Kind::Query, TEXT, None),
    row("reReplaceAll", Kind::Replace, &[Parameter::Text; 3], None),
    row("safeHtml", Kind::SafeHtml, TEXT, None),
    row("sortByLabel", Kind::SortByLabel, &[Parameter::Text, Parameter::List], None),
    row("stripDomain", Kind::StripDomain, TEXT, None),
    row("stripPort", Kind::StripPort, TEXT, None),
    row("strvalue", Kind::StringValue, &[Parameter::Sample], None),
    row("tableLink", Kind::TableLink, TEXT, None),
    row("title", Kind::Title, TEXT, None),
    row("toDuration", Kind::ToDuration, ANY, None),
    row("toLower", Kind::Lower, TEXT, None),
    row("toTime", Kind::ToTime, ANY, None),
    row("toUpper", Kind::Upper, TEXT, None),
    row("urlQueryEscape", Kind::QueryEscape, TEXT, None),
    row("value", Kind::Value, &[Parameter::Sample], None),
];

impl Function {
    /// The function of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        SIGNATURES.iter().find(|signature| signature.name == name).map(Self)
    }

    pub(super) fn name(self) -> &'static str {
        self.0.name
    }

    pub(super) fn kind(self) -> Kind {
        self.0.kind
    }

    /// What its arguments must be: the first ones, and all beyond.
    pub(super) fn parameters(self) -> (&'static [Parameter], Option<Parameter>) {
        (self.0.takes, self.0.more)
    }

    /// Whether it may come to something else although its arguments are the same.
    pub(super) fn depends_on_time(self) -> bool {
        matches!(self.0.kind, Kind::Query | Kind::Now)
    }
}

impl Parameter {
    /// What Go calls it.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Text => "string",
            Self::Sample => "*template.sample",
            Self::List => "template.queryResult",
            Self::Duration => "time.Duration",
            Self::Time => "time.Time",
        }
    }

    /// Whether Go's `nil` may stand for it.
    pub(super) fn takes_nil(self) -> bool {
        matches!(self, Self::Any | Self::Sample | Self::List)
    }
}
