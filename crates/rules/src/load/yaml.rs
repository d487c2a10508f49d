//! YAML as a tree in which every node knows its place.

use std::ops::Range;
use std::rc::Rc;

use bellwire_model::NameSet;
use granit_parser::{Event, Options, Parser, ScalarStyle};
use rustc_hash::FxHashMap;

/// A node. Anchored nodes are shared, so that aliases cost nothing however they are nested.
#[derive(Debug)]
pub(crate) struct Node {
    /// The byte of the file at which it starts.
    pub(crate) offset: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Entries),
}

/// The keys and values of a map.
pub(crate) type Entries = Vec<(Rc<Node>, Rc<Node>)>;

/// Entries that the maps of a file take over from others: a few bytes may merge a large map.
const MERGED_MAX: usize = 1_000_000;

/// A text and where it was written.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: ScalarStyle,
    /// The bytes of the file that it was read from, quotes included.
    pub(crate) written: Range<usize>,
}

impl Node {
    /// What it is, in words.
    pub(crate) fn noun(&self) -> &'static str {
        match self.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// Whether it is YAML's null, which stands for a field that is not set.
    pub(crate) fn is_null(&self) -> bool {
        let Kind::Scalar(scalar) = &self.kind else { return false };
        scalar.style == ScalarStyle::Plain
            && matches!(&*scalar.text, "" | "~" | "null" | "Null" | "NULL")
    }

    /// Whether it is the key whose value is merged into its map.
    fn is_merge(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(key) if key.style == ScalarStyle::Plain && key.text == "<<")
    }

    fn text(&self) -> Option<String> {
        let Kind::Scalar(scalar) = &self.kind else { return None };
        Some(scalar.text.clone())
    }

    /// The field `name` of a map.
    pub(crate) fn field(&self, name: &str) -> Option<&Node> {
        let Kind::Map(entries) = &self.kind else { return None };
        let is_name = |key: &Node| matches!(&key.kind, Kind::Scalar(key) if key.text == name);
        entries.iter().find(|(key, _)| is_name(key)).map(|(_, value)| &**value)
    }
}

/// The documents of a file, or the byte and the text of what is wrong.
pub(crate) fn read(text: &str) -> Result<Vec<Rc<Node>>, (usize, String)> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut tree = Tree::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) =
            event.map_err(|error| (error.marker().byte_offset().unwrap_or(0), error.info()))?;
        let written = span.byte_range().expect("a parser of a text knows its bytes");
        tree.take(event, written)?;
    }
    Ok(tree.documents)
}

/// Builds nodes from events. The parser bounds how deep they nest.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    anchors: FxHashMap<usize, Rc<Node>>,
    documents: Vec<Rc<Node>>,
    /// Entries that maps have taken over from others.
    merged: usize,
}

/// A list or map whose end has not come yet. A map's keys and values alternate.
struct Open {
    offset: usize,
    anchor: usize,
    nodes: Vec<Rc<Node>>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, written: Range<usize>) -> Result<(), (usize, String)> {
        let offset = written.start;
        match event {
            Event::Scalar(text, style, anchor, _) => {
                // The parser gives a node that is not written the text `~`.
                let text = if written.is_empty() { String::new() } else { text.into_owned() };
                let kind = Kind::Scalar(Scalar { text, style, written });
                self.place(Rc::new(Node { offset, kind }), anchor);
            }
            Event::SequenceStart(_, anchor, _) | Event::MappingStart(_, anchor, _) => {
                self.open.push(Open { offset, anchor, nodes: Vec::new() });
            }
            Event::SequenceEnd => {
                let Open { offset, anchor, nodes } = self.close();
                self.place(Rc::new(Node { offset, kind: Kind::List(nodes) }), anchor);
            }
            Event::MappingEnd => {
                let Open { offset, anchor, nodes } = self.close();
                let kind = Kind::Map(self.entries(&nodes)?);
                self.place(Rc::new(Node { offset, kind }), anchor);
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node =
                    node.ok_or_else(|| (offset, "this alias is inside itself".to_owned()))?;
                self.place(node, 0);
            }
            _ => {}
        }
        Ok(())
    }

    /// The entries of a map, with those of the maps that it merges: `<<: *base`, `<<: [*a, *b]`. Its
    /// own come first in rank, then those of earlier maps.
    fn entries(&mut self, nodes: &[Rc<Node>]) -> Result<Entries, (usize, String)> {
        let (pairs, _) = nodes.as_chunks::<2>();
        let pairs = pairs.iter().map(|[key, value]| (key.clone(), value.clone()));
        let (merges, mut entries): (Entries, Entries) = pairs.partition(|(key, _)| key.is_merge());
        let Some((_, bases)) = merges.first() else { return Ok(entries) };
        if let Some((again, _)) = merges.get(1) {
            return Err((again.offset, "`<<` stands twice".to_owned()));
        }
        let listed = match &bases.kind {
            Kind::List(listed) => listed.clone(),
            _ => vec![bases.clone()],
        };
        let mut seen: NameSet<String> = entries.iter().filter_map(|(key, _)| key.text()).collect();
        for base in listed {
            let Kind::Map(inherited) = &base.kind else {
                let text = "`<<` merges a map or a list of maps".to_owned();
                return Err((base.offset, text));
            };
            self.merged += inherited.len();
            if self.merged > MERGED_MAX {
                return Err((base.offset, format!("`<<` merges at most {MERGED_MAX} entries")));
            }
            let mut is_new = |key: &Node| key.text().is_none_or(|text| seen.insert(text));
            entries.extend(inherited.iter().filter(|(key, _)| is_new(key)).cloned());
        }
        Ok(entries)
    }

    fn close(&mut self) -> Open {
        self.open.pop().expect("the parser ends what it has started")
    }

    fn place(&mut self, node: Rc<Node>, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(parent) => parent.nodes.push(node),
            None => self.documents.push(node),
        }
    }
}
