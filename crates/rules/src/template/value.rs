//! What an expression in a template comes to: the types of Go that rules can meet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bellwire_model::Labels;

use crate::evaluation::Element;

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing at all: `nil`, or what a map of anything lacks.
    Nil,
    Bool(bool),
    Whole(i64),
    /// A character of a text.
    Byte(u8),
    Number(f64),
    Text(Rc<str>),
    /// A text that is safe in HTML.
    Html(Rc<str>),
    Labels(Labels),
    /// What `args` gives.
    Arguments(Rc<BTreeMap<String, Value>>),
    /// An element of a query's result.
    Sample(Rc<Element>),
    List(List),
    /// Nanoseconds since 1970.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
    Month(i64),
    Weekday(i64),
    /// What the dot is at first.
    Data(Rc<Data>),
}

/// What a template is about.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) labels: Labels,
    pub(super) external_labels: Labels,
    pub(super) external_url: Rc<str>,
    pub(super) value: f64,
}

/// The elements that a query came to. Parts of it share them: who sorts one sorts all.
#[derive(Clone, Debug)]
pub(super) struct List {
    shared: Rc<RefCell<Vec<Rc<Element>>>>,
    start: usize,
    end: usize,
    /// Up to where a part of this one may reach.
    reach: usize,
}

impl List {
    pub(super) fn new(elements: Vec<Element>) -> Self {
        let end = elements.len();
        let shared = elements.into_iter().map(Rc::new).collect();
        Self { shared: Rc::new(RefCell::new(shared)), start: 0, end, reach: end }
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// How many elements a part of this one may have.
    pub(super) fn capacity(&self) -> usize {
        self.reach - self.start
    }

    pub(super) fn get(&self, at: usize) -> Option<Rc<Element>> {
        let is_within = at < self.len();
        is_within.then(|| Rc::clone(&self.shared.borrow()[self.start + at]))
    }

    /// Go's `list[start:end:reach]`, within the capacity.
    pub(super) fn part(&self, start: usize, end: usize, reach: usize) -> Self {
        let shared = Rc::clone(&self.shared);
        Self { shared, start: self.start + start, end: self.start + end, reach: self.start + reach }
    }

    /// Sorts it in its place.
    pub(super) fn sort_by_label(&self, label: &str) {
        let mut elements = self.shared.borrow_mut();
        let key = |element: &Rc<Element>| element.labels.get(label).unwrap_or_default().to_owned();
        elements[self.start..self.end].sort_by_cached_key(key);
    }

    pub(super) fn to_vec(&self) -> Vec<Rc<Element>> {
        self.shared.borrow()[self.start..self.end].to_vec()
    }
}

impl Value {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// What Go calls its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Whole(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Number(_) => "float64",
            Self::Text(_) => "string",
            Self::Html(_) => "template.HTML",
            Self::Labels(_) => "map[string]string",
            Self::Arguments(_) => "map[string]interface {}",
            Self::Sample(_) => "*template.sample",
            Self::List(_) => "template.queryResult",
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "*time.Duration",
            Self::Month(_) => "time.Month",
            Self::Weekday(_) => "time.Weekday",
            Self::Data(_) => {
                "struct { Labels map[string]string; ExternalLabels map[string]string; \
                 ExternalURL string; Value interface {} }"
            }
        }
    }

    /// Whether `if` takes it for true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Whole(value) | Self::Month(value) | Self::Weekday(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Number(value) => *value != 0.0,
            Self::Text(text) | Self::Html(text) => !text.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Arguments(arguments) => !arguments.is_empty(),
            Self::List(list) => list.len() > 0,
            Self::Sample(_) | Self::Data(_) | Self::Time(_) | Self::Duration(_) => true,
        }
    }
}
