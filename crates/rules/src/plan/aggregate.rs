//! Aggregations, by the names that `PromQL` knows them by.

use super::{Root, Scalar};

/// An aggregation, with its parameter.
#[derive(Clone, Debug)]
pub(crate) enum Aggregate {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Quantile(Scalar),
    CountValues(Box<str>),
    TopK(Scalar),
    BottomK(Scalar),
    LimitK(Scalar),
    LimitRatio(Scalar),
}

impl Aggregate {
    /// The aggregation of that name; the parser has checked the parameter.
    pub(crate) fn new(name: &str, parameter: Option<Root>) -> Option<Self> {
        Some(match (name, parameter) {
            ("sum", None) => Self::Sum,
            ("avg", None) => Self::Avg,
            ("min", None) => Self::Min,
            ("max", None) => Self::Max,
            ("count", None) => Self::Count,
            ("group", None) => Self::Group,
            ("stddev", None) => Self::Stddev,
            ("stdvar", None) => Self::Stdvar,
            ("quantile", Some(Root::Scalar(quantile))) => Self::Quantile(quantile),
            ("count_values", Some(Root::Text(label))) => Self::CountValues(label),
            ("topk", Some(Root::Scalar(count))) => Self::TopK(count),
            ("bottomk", Some(Root::Scalar(count))) => Self::BottomK(count),
            ("limitk", Some(Root::Scalar(count))) => Self::LimitK(count),
            ("limit_ratio", Some(Root::Scalar(ratio))) => Self::LimitRatio(ratio),
            _ => return None,
        })
    }

    /// The number beside the vector.
    pub(crate) fn parameter(&self) -> &[Scalar] {
        match self {
            Self::Quantile(number)
            | Self::TopK(number)
            | Self::BottomK(number)
            | Self::LimitK(number)
            | Self::LimitRatio(number) => std::slice::from_ref(number),
            _ => &[],
        }
    }

    /// Whether Prometheus knows it only when told to.
    pub(crate) fn is_experimental(&self) -> bool {
        matches!(self, Self::LimitK(_) | Self::LimitRatio(_))
    }
}
