//! A walk through a table around what is damaged.

use rusqlite::{Connection, Row};

use super::reader::is_damage;

/// What a walk meets.
pub(super) enum Found<'a, 'r> {
    Row(&'a Row<'r>),
    /// Nothing could be read from `first` to `last`.
    Damage {
        first: i64,
        last: i64,
    },
}

/// A walk through a table by the numbers of its rows, around what is damaged: behind that, rows are
/// looked for one by one.
pub(super) struct Walk<'a> {
    pub(super) select: &'static str,
    /// The column of the row's number.
    pub(super) number: usize,
    pub(super) last: i64,
    /// The first and last numbers of stretches, in order, beyond which no row is looked for.
    pub(super) looked_for: &'a [(i64, i64)],
}

impl Walk<'_> {
    pub(super) fn run(
        &self,
        source: &Connection,
        meet: &mut dyn FnMut(Found<'_, '_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut next = 0;
        while next <= self.last {
            next = self.scan(source, next, meet)?;
            let mut damage: Option<(i64, i64)> = None;
            let mut is_found = false;
            while !is_found && next <= self.last {
                let number = self.looked_for(next);
                if let Some((first, last)) = damage.take_if(|(_, last)| *last + 1 < number) {
                    meet(Found::Damage { first, last })?;
                }
                if number > self.last {
                    return Ok(());
                }
                is_found = self.meet_one(source, number, meet)?;
                if !is_found {
                    damage.get_or_insert((number, number)).1 = number;
                }
                next = number + 1;
            }
            if let Some((first, last)) = damage {
                meet(Found::Damage { first, last })?;
            }
        }
        Ok(())
    }

    /// The next number from this one on that there may be a row of.
    fn looked_for(&self, number: i64) -> i64 {
        let place = self.looked_for.partition_point(|(_, last)| *last < number);
        self.looked_for.get(place).map_or(i64::MAX, |(first, _)| number.max(*first))
    }

    /// Goes on from `next` for as long as it can. Returns what comes after.
    fn scan(
        &self,
        source: &Connection,
        mut next: i64,
        meet: &mut dyn FnMut(Found<'_, '_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<i64> {
        let mut select = source.prepare_cached(self.select)?;
        let mut rows = select.query((next, self.last))?;
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let number: i64 = row.get(self.number)?;
                    if number < next {
                        return Ok(next);
                    }
                    meet(Found::Row(row))?;
                    next = number + 1;
                }
                Ok(None) => return Ok(next),
                Err(error) if is_damage(&error) => return Ok(next),
                Err(error) => return Err(error),
            }
        }
    }

    /// Meets the row of a number, if it can be found by it.
    fn meet_one(
        &self,
        source: &Connection,
        number: i64,
        meet: &mut dyn FnMut(Found<'_, '_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<bool> {
        let mut select = source.prepare_cached(self.select)?;
        let mut rows = select.query((number, number))?;
        match rows.next() {
            Ok(Some(row)) => meet(Found::Row(row)).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) if is_damage(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
