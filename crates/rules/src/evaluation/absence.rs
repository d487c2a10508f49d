//! `absent` and `absent_over_time`: one element where there is none.

use super::{Evaluated, Evaluation, Item, Items, Number};
use crate::plan::{Absence, Vector, Window};

impl Evaluation<'_> {
    pub(super) fn absent(
        &mut self,
        vector: &Vector,
        labels: &Absence,
        time: i64,
    ) -> Evaluated<Items> {
        let present = self.vector(vector, time)?.len();
        Ok(absent_where(present, labels))
    }

    pub(super) fn absent_over_time(
        &mut self,
        window: &Window,
        labels: &Absence,
        time: i64,
    ) -> Evaluated<Items> {
        let present = self.window(window, time)?.1.len();
        Ok(absent_where(present, labels))
    }
}

fn absent_where(present: usize, labels: &Absence) -> Items {
    let item = || Item { labels: labels.clone(), number: Number::still(1.0), drops_name: false };
    (present == 0).then(item).into_iter().collect()
}
