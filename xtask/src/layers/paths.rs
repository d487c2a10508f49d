//! The paths that a piece of code names, read from its words and marks alone.

/// A path that code names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its names, without `as`; a `*` at the end is left out.
    pub(super) path: Vec<String>,
    /// By which name others get it from here, where it is in a `pub use`.
    pub(super) handed_on_as: Option<String>,
}

/// The paths in `use`, and those elsewhere that begin with `crate`, `super` or `self`, of a text
/// without comments and literals.
pub(super) fn named(code: &str) -> Vec<Named> {
    let mut reader = Reader { words: words(code), next: 0, named: Vec::new() };
    reader.read();
    reader.named
}

/// Names, `::` and single marks.
fn words(code: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_name(first) {
            rest.find(|c| !is_name(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        words.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    words
}

/// Whether a module hands on to others what it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Own,
    HandedOn,
}

struct Reader<'a> {
    words: Vec<&'a str>,
    next: usize,
    named: Vec<Named>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> &'a str {
        self.words.get(self.next).copied().unwrap_or_default()
    }

    fn accept(&mut self, word: &str) -> bool {
        let is_next = self.peek() == word;
        self.next += usize::from(is_next);
        is_next
    }

    fn read(&mut self) {
        let mut kind = Use::Own;
        while self.next < self.words.len() {
            match self.peek() {
                "pub" => {
                    kind = Use::HandedOn;
                    self.next += 1;
                    self.skip_brackets();
                    continue;
                }
                "use" => {
                    self.next += 1;
                    self.tree(&mut Vec::new(), kind);
                }
                "crate" | "super" | "self" if self.words.get(self.next + 1) == Some(&"::") => {
                    let path = self.path();
                    self.named.push(Named { path, handed_on_as: None });
                }
                _ => self.next += 1,
            }
            kind = Use::Own;
        }
    }

    /// Steps past `(crate)` and its like.
    fn skip_brackets(&mut self) {
        if self.accept("(") {
            while self.next < self.words.len() && !self.accept(")") {
                self.next += 1;
            }
        }
    }

    /// Names with `::` between them.
    fn path(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        loop {
            let name = self.peek();
            if !name.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                return path;
            }
            path.push(name.to_owned());
            self.next += 1;
            if !self.accept("::") {
                return path;
            }
        }
    }

    /// What follows `use`: a path, or one that ends in several, behind what stands before it.
    fn tree(&mut self, before: &mut Vec<String>, kind: Use) {
        let depth = before.len();
        self.accept("::");
        let path = self.path();
        before.extend(path);
        if self.accept("{") {
            while self.next < self.words.len() && !self.accept("}") {
                self.tree(before, kind);
                self.accept(",");
            }
        } else {
            self.accept("*");
            let renamed = self.accept("as").then(|| self.path()).and_then(|mut path| path.pop());
            let mut path = before.clone();
            if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                path.pop();
            }
            let name = renamed.or_else(|| path.last().cloned());
            self.named.push(Named { path, handed_on_as: name.filter(|_| kind == Use::HandedOn) });
        }
        before.truncate(depth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_uses_and_code() {
        for (code, paths) in [
            (
                "use crate::a::{self, b::C, d::*};",
                vec!["crate::a", "crate::a::b::C", "crate::a::d"],
            ),
            (
                "use std::fmt::Write as _; fn f(x: &super::X) {}",
                vec!["std::fmt::Write", "super::X"],
            ),
            (
                "let a = self.b; let c = super::super::d::e(self::f);",
                vec!["super::super::d::e", "self::f"],
            ),
            ("pub(crate) fn g() -> crate::h::I<crate::j::K>", vec!["crate::h::I", "crate::j::K"]),
        ] {
            let named: Vec<String> =
                named(code).into_iter().map(|named| named.path.join("::")).collect();
            assert_eq!(named, paths, "{code}");
        }
    }

    #[test]
    fn what_is_handed_on_has_a_name() {
        let code = "pub use a::{B, C as D}; use e::F; pub(crate) use g::H;";
        let handed_on: Vec<_> = named(code).into_iter().map(|named| named.handed_on_as).collect();
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(handed_on, [some("B"), some("D"), None, some("H")]);
    }
}
