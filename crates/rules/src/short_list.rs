//! Lists that mostly hold one item, which then needs no memory of its own.

use std::ops::Deref;

/// A list that is as large as a [`Vec`], and holds a single item in place.
#[derive(Clone, Debug)]
pub(crate) enum ShortList<T> {
    One(T),
    Several(Vec<T>),
}

impl<T> ShortList<T> {
    pub(crate) fn push(&mut self, item: T) {
        match std::mem::take(self) {
            Self::Several(list) if list.capacity() == 0 => *self = Self::One(item),
            Self::Several(mut list) => {
                list.push(item);
                *self = Self::Several(list);
            }
            Self::One(first) => *self = Self::Several(vec![first, item]),
        }
    }

    /// Keeps those that are wanted, in their order.
    pub(crate) fn retain(&mut self, is_wanted: impl Fn(&T) -> bool) {
        match self {
            Self::One(item) if is_wanted(item) => {}
            Self::One(_) => *self = Self::default(),
            Self::Several(list) => list.retain(is_wanted),
        }
    }
}

impl<T> Default for ShortList<T> {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl<T> Deref for ShortList<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(item) => std::slice::from_ref(item),
            Self::Several(list) => list,
        }
    }
}

impl<T: PartialEq> PartialEq for ShortList<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T> From<Vec<T>> for ShortList<T> {
    fn from(mut list: Vec<T>) -> Self {
        match list.pop() {
            Some(only) if list.is_empty() => Self::One(only),
            Some(newest) => {
                list.push(newest);
                Self::Several(list)
            }
            None => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const _: () = assert!(size_of::<ShortList<u64>>() == size_of::<Vec<u64>>());

    #[test]
    fn a_short_list_holds_what_a_list_holds() {
        let mut list: ShortList<u32> = Vec::new().into();
        assert!(list.is_empty());
        for count in 1..6 {
            list.push(count);
            let expected: Vec<u32> = (1..=count).collect();
            assert_eq!(*list, expected);
            assert_eq!(list, ShortList::from(expected));
        }
        list.retain(|item| *item == 3);
        assert_eq!(*list, [3]);
        let mut one = ShortList::from(vec![3]);
        assert!(matches!(one, ShortList::One(3)));
        one.retain(|item| *item == 3);
        assert_eq!(one, list);
        one.retain(|item| *item != 3);
        assert!(one.is_empty());
    }
}
