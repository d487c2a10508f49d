//! Which lanes a topic reaches: the filters of all lanes as a trie, segment by segment.
//!
//! ```text
//! root ──users──▶ ○ ──7──▶ ○ rest: users/7/**
//!                 └──*───▶ ○ ──name──▶ ○ here: users/*/name
//! whole ──news/today──▶ ○ here: news/today
//! ```
//!
//! A topic costs one look for each of its segments, more where a `*` stands beside a name, and the
//! lanes that it reaches, however many others there are. Coming and going cost a filter's segments.
//! Nothing is remembered of topics here. A filter without a wildcard is one edge as a whole: most are.

use std::hash::{BuildHasher, Hasher};

use bellwire_model::{FilterSet, NameHasher, Topic};
use hashbrown::HashTable;
use slab::Slab;

use crate::lane::LaneId;

type NodeId = u32;

/// Where filters with wildcards begin.
const ROOT: NodeId = 0;
/// Where filters without one begin, each a single edge.
const WHOLE: NodeId = 1;
/// No node.
const NONE: NodeId = u32::MAX;

/// The filters of all lanes. Its edges are what strangers chose, so their hashes have a secret.
#[derive(Debug)]
pub(crate) struct TopicIndex {
    hasher: NameHasher,
    nodes: Slab<Node>,
    /// Nodes by their parent and the segment that leads to them.
    edges: HashTable<NodeId>,
    /// Where each filter of a lane ends.
    places: Vec<Vec<Place>>,
    /// The number of filters.
    filters: usize,
    /// Bytes of the segments of all nodes.
    segment_bytes: usize,
}

/// What filters that begin alike have in common.
#[derive(Debug)]
struct Node {
    parent: NodeId,
    /// What leads here from there; nothing where it is a `*`.
    segment: Box<[u8]>,
    star: NodeId,
    /// How many nodes a name leads to from here.
    names: u32,
    /// Filters that end here.
    here: Vec<Member>,
    /// Filters that end with a `**` behind this.
    rest: Vec<Member>,
}

/// One of a lane's filters.
#[derive(Clone, Copy, Debug)]
struct Member {
    lane: LaneId,
    /// Its number among the places of the lane.
    number: u32,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    node: NodeId,
    end: End,
    /// The place in the node's list.
    index: u32,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Here,
    Rest,
}

impl Node {
    fn new(parent: NodeId, segment: &[u8]) -> Self {
        let (here, rest) = (Vec::new(), Vec::new());
        Self { parent, segment: segment.into(), star: NONE, names: 0, here, rest }
    }

    fn members_mut(&mut self, end: End) -> &mut Vec<Member> {
        match end {
            End::Here => &mut self.here,
            End::Rest => &mut self.rest,
        }
    }

    fn is_bare(&self) -> bool {
        self.here.is_empty() && self.rest.is_empty() && self.star == NONE && self.names == 0
    }
}

impl TopicIndex {
    pub(crate) fn new(hasher: NameHasher) -> Self {
        let mut nodes = Slab::new();
        for id in [ROOT, WHOLE] {
            assert_eq!(nodes.insert(Node::new(NONE, b"")), id as usize, "roots come first");
        }
        let (edges, places) = (HashTable::new(), Vec::new());
        Self { hasher, nodes, edges, places, filters: 0, segment_bytes: 0 }
    }

    /// Bytes that nodes and filters take.
    pub(crate) fn size_bytes(&self) -> usize {
        // Two nodes are there always.
        let nodes = (self.nodes.len() - 2) * (size_of::<Node>() + size_of::<NodeId>());
        nodes + self.segment_bytes + self.filters * (size_of::<Member>() + size_of::<Place>())
    }

    /// Calls `visit` with each lane that has a filter which `topic` passes; again for each further
    /// one of its filters.
    pub(crate) fn for_each(&self, topic: &str, mut visit: impl FnMut(LaneId)) {
        let has_to_be_named = Topic::has_to_be_named(topic);
        let topic = topic.as_bytes();
        if self.node(WHOLE).names > 0
            && let Some(id) = self.child(WHOLE, topic)
        {
            self.node(id).here.iter().for_each(|member| visit(member.lane));
        }
        let root = self.node(ROOT);
        if has_to_be_named {
            // Wildcards never stand for a first segment like this.
            if root.names > 0 {
                self.walk_names(ROOT, topic, &mut visit);
            }
        } else if !root.is_bare() {
            self.walk(ROOT, Some(topic), &mut visit);
        }
    }

    /// Whether `topic` passes any filter of any lane.
    pub(crate) fn is_reached(&self, topic: &str) -> bool {
        let mut is_reached = false;
        self.for_each(topic, |_| is_reached = true);
        is_reached
    }

    /// Visits what `topic` reaches from a node on; nothing of it is left at its end.
    fn walk(&self, id: NodeId, topic: Option<&[u8]>, visit: &mut impl FnMut(LaneId)) {
        let node = self.node(id);
        node.rest.iter().for_each(|member| visit(member.lane));
        let Some(topic) = topic else {
            return node.here.iter().for_each(|member| visit(member.lane));
        };
        if node.star != NONE {
            self.walk(node.star, split(topic).1, visit);
        }
        if node.names > 0 {
            self.walk_names(id, topic, visit);
        }
    }

    fn walk_names(&self, id: NodeId, topic: &[u8], visit: &mut impl FnMut(LaneId)) {
        let (segment, rest) = split(topic);
        if let Some(child) = self.child(id, segment) {
            self.walk(child, rest, visit);
        }
    }

    /// Takes in the filters of a lane.
    pub(crate) fn insert(&mut self, lane: LaneId, filters: &FilterSet) {
        let mut places = Vec::with_capacity(filters.iter().count());
        for filter in filters.iter() {
            let (node, end) = if filter.is_exact() {
                (self.child_or_new(WHOLE, filter.as_str().as_bytes()), End::Here)
            } else {
                self.follow(filter.as_str())
            };
            let member = Member { lane, number: places.len() as u32 };
            let members = self.node_mut(node).members_mut(end);
            places.push(Place { node, end, index: members.len() as u32 });
            members.push(member);
        }
        self.filters += places.len();
        if self.places.len() <= lane.index() {
            self.places.resize_with(lane.index() + 1, Vec::new);
        }
        self.places[lane.index()] = places;
    }

    /// Forgets the filters of a lane.
    pub(crate) fn remove(&mut self, lane: LaneId) {
        let places = std::mem::take(&mut self.places[lane.index()]);
        self.filters -= places.len();
        for Place { node, end, index } in places {
            let members = self.node_mut(node).members_mut(end);
            members.swap_remove(index as usize);
            let moved = members.get(index as usize).copied();
            if members.len() < members.capacity() / 4 {
                members.shrink_to(members.len() * 2);
            }
            if let Some(Member { lane, number }) = moved {
                self.places[lane.index()][number as usize].index = index;
            }
            self.prune(node);
        }
    }

    /// The node at which a filter with wildcards ends, and how.
    fn follow(&mut self, filter: &str) -> (NodeId, End) {
        let mut id = ROOT;
        for segment in filter.split('/') {
            match segment {
                "**" => return (id, End::Rest),
                "*" if self.node(id).star == NONE => {
                    let star = self.nodes.insert(Node::new(id, b"")) as NodeId;
                    self.node_mut(id).star = star;
                    id = star;
                }
                "*" => id = self.node(id).star,
                name => id = self.child_or_new(id, name.as_bytes()),
            }
        }
        (id, End::Here)
    }

    /// Removes a node that leads nowhere any more, and those that led to it alone.
    fn prune(&mut self, mut id: NodeId) {
        while id != ROOT && id != WHOLE && self.node(id).is_bare() {
            let Node { parent, segment, .. } = self.nodes.remove(id as usize);
            self.segment_bytes -= segment.len();
            if self.node(parent).star == id {
                self.node_mut(parent).star = NONE;
            } else {
                let hash = hash(self.hasher, parent, &segment);
                let edge = self.edges.find_entry(hash, |child| *child == id);
                edge.expect("a name led here").remove();
                self.node_mut(parent).names -= 1;
            }
            id = parent;
        }
    }

    fn child(&self, parent: NodeId, segment: &[u8]) -> Option<NodeId> {
        let is_it = |id: &NodeId| {
            let node = self.node(*id);
            node.parent == parent && *node.segment == *segment
        };
        self.edges.find(hash(self.hasher, parent, segment), is_it).copied()
    }

    fn child_or_new(&mut self, parent: NodeId, segment: &[u8]) -> NodeId {
        if let Some(child) = self.child(parent, segment) {
            return child;
        }
        let child = self.nodes.insert(Node::new(parent, segment)) as NodeId;
        self.segment_bytes += segment.len();
        self.node_mut(parent).names += 1;
        let Self { hasher, nodes, edges, .. } = self;
        let hash_of = |id: &NodeId| {
            let node = &nodes[*id as usize];
            hash(*hasher, node.parent, &node.segment)
        };
        edges.insert_unique(hash_of(&child), child, hash_of);
        child
    }

    /// Whether nothing is left of what was taken in.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        (self.nodes.len(), self.edges.len()) == (2, 0)
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }
}

fn hash(hasher: NameHasher, parent: NodeId, segment: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(segment);
    hasher.write_u32(parent);
    hasher.finish()
}

/// The first segment, and what is behind it.
fn split(topic: &[u8]) -> (&[u8], Option<&[u8]>) {
    match topic.iter().position(|byte| *byte == b'/') {
        Some(slash) => (&topic[..slash], Some(&topic[slash + 1..])),
        None => (topic, None),
    }
}
