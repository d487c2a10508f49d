//! Where in a template something has gone wrong, told as Go tells it.

use std::fmt;

use super::tree::{Command, Invocation, Operand, Pipeline};

/// What stands before each template of an alert in Prometheus, which counts in the places that
/// errors name.
const PREFIX: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                      {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// A place of the template.
#[derive(Clone, Copy)]
pub(super) enum At<'t> {
    Nowhere,
    Pipeline(&'t Pipeline),
    Command(&'t Command),
    Operand(&'t Operand),
    Invocation(&'t Invocation),
}

impl At<'_> {
    /// An error at this place of the text `source`: of a template within the whole, by their names.
    pub(super) fn error(
        self,
        source: &str,
        (whole, template): (&str, &str),
        reason: &str,
    ) -> String {
        let Some(offset) = self.offset() else {
            return format!("error executing template {whole}: template: {template}: {reason}");
        };
        let before = &source[..offset.min(source.len())];
        let line = 1 + before.matches('\n').count();
        let column = match before.rfind('\n') {
            Some(end) => offset - end - 1,
            None => offset + PREFIX.len(),
        };
        format!(
            "error executing template {whole}: template: {whole}:{line}:{column}: executing \
             {template:?} at <{self}>: {reason}"
        )
    }

    fn offset(self) -> Option<usize> {
        match self {
            Self::Nowhere => None,
            Self::Pipeline(pipeline) => Some(pipeline.offset),
            Self::Command(command) => Some(command.offset),
            Self::Operand(operand) => Some(operand.offset),
            Self::Invocation(invocation) => Some(invocation.offset),
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => Ok(()),
            Self::Pipeline(pipeline) => pipeline.fmt(f),
            Self::Command(command) => command.fmt(f),
            Self::Operand(operand) => operand.fmt(f),
            Self::Invocation(invocation) => invocation.fmt(f),
        }
    }
}
