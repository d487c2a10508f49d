//! Changes of records that take away what a dead letter stands for: they wait until the journal has
//! that letter, and so does what is newer of the same record, which lacks that, too.
//!
//! Letters may come all the time. So what waits is let go in two steps: what came before some letter
//! goes once that letter is kept, whatever has come since.

use bytes::Bytes;

use super::Changes;
use crate::notifier::dead_letter::LetterCourse;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Behind so many letters.
    first: Changes,
    letters: u64,
    /// Behind letters of which nobody has asked yet how many they are.
    next: Changes,
    /// How often some have been let go.
    released: u64,
}

impl Behind {
    /// Waits for every letter of now.
    pub(super) fn note(&mut self, key: Box<str>, value: Option<Bytes>) {
        self.next.insert(key, value);
    }

    /// What is newer of a record that waits here waits in its place; gives it back where none does.
    pub(super) fn supersede(
        &mut self,
        key: Box<str>,
        value: Option<Bytes>,
    ) -> Option<(Box<str>, Option<Bytes>)> {
        let next = self.next.get_mut(&key);
        match next.or_else(|| self.first.get_mut(&key)) {
            Some(waiting) => {
                *waiting = value;
                None
            }
            None => Some((key, value)),
        }
    }

    /// What need wait no longer.
    pub(super) fn release(&mut self, course: LetterCourse) -> Changes {
        let mut free = Changes::new();
        loop {
            if self.first.is_empty() {
                let Some(letters) = course.pushed.filter(|_| !self.next.is_empty()) else {
                    return free;
                };
                self.first = std::mem::take(&mut self.next);
                self.letters = letters;
            }
            if course.kept < self.letters {
                return free;
            }
            self.released += 1;
            free.extend(std::mem::take(&mut self.first));
        }
    }

    /// How often some have been let go.
    pub(super) fn released(&self) -> u64 {
        self.released
    }

    /// How often some will have been let go when all of now have been.
    pub(super) fn released_with_all(&self) -> u64 {
        self.released + u64::from(!self.first.is_empty()) + u64::from(!self.next.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(behind: &mut Behind, keys: &[&str]) {
        for key in keys {
            behind.note((*key).into(), None);
        }
    }

    fn released(behind: &mut Behind, pushed: u64, kept: u64) -> Vec<String> {
        let free = behind.release(LetterCourse { pushed: Some(pushed), kept });
        free.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn what_waits_is_let_go_though_letters_come_all_the_time() {
        let mut behind = Behind::default();
        noted(&mut behind, &["a"]);
        assert_eq!(released(&mut behind, 1, 0), Vec::<String>::new());
        noted(&mut behind, &["b"]);
        assert_eq!(behind.released_with_all(), 2);
        assert_eq!(released(&mut behind, 2, 0), Vec::<String>::new());
        assert_eq!(released(&mut behind, 3, 1), ["a"]);
        noted(&mut behind, &["c"]);
        assert_eq!(released(&mut behind, 4, 3), ["b"]);
        assert_eq!((behind.released(), behind.released_with_all()), (2, 3));
        assert_eq!(released(&mut behind, 4, 4), ["c"]);
        // Where every letter is kept nothing waits.
        noted(&mut behind, &["d"]);
        assert_eq!(released(&mut behind, 4, 4), ["d"]);
        // While some letters find no room nobody knows how many there are.
        noted(&mut behind, &["e"]);
        let crowded = LetterCourse { pushed: None, kept: 4 };
        assert!(behind.release(crowded).is_empty());
        assert_eq!(released(&mut behind, 5, 5), ["e"]);
    }

    #[test]
    fn what_is_newer_waits_in_the_place_of_the_older() {
        let mut behind = Behind::default();
        let newer = |behind: &mut Behind, key: &str, text: &'static str| {
            behind.supersede(key.into(), Some(Bytes::from_static(text.as_bytes()))).is_none()
        };
        noted(&mut behind, &["a"]);
        assert_eq!(released(&mut behind, 1, 0), Vec::<String>::new());
        assert!(newer(&mut behind, "a", "one") && !newer(&mut behind, "b", "one"));
        noted(&mut behind, &["a"]);
        assert!(newer(&mut behind, "a", "two"));
        let first = behind.release(LetterCourse { pushed: Some(2), kept: 1 });
        assert_eq!(first["a"].as_deref(), Some(&b"one"[..]));
        let second = behind.release(LetterCourse { pushed: Some(2), kept: 2 });
        assert_eq!(second["a"].as_deref(), Some(&b"two"[..]));
    }
}
