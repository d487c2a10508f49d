//! Selectors, ranges of them, and subqueries, each with `offset` and `@`.

use std::time::{Duration, SystemTime};

use promql_parser::parser::{AtModifier, MatrixSelector, Offset, SubqueryExpr, VectorSelector};

use super::{Compiled, Compiler, unsupported};
use crate::expression::token::TokenKind;
use crate::expression::{ExpressionReason, Tier};
use crate::plan::{At, Instant, Root, Selection, SelectionKind, SelectorId, Shift, Vector, Window};
use crate::selector::Selector;

impl Compiler<'_> {
    pub(super) fn instant(&mut self, selector: &VectorSelector) -> Compiled<Root> {
        self.matchers(selector)?;
        let shift = self.shift(selector.offset.as_ref(), selector.at.as_ref());
        let selector = self.select(selector, shift.reach_ms(), SelectionKind::Instant)?;
        Ok(Root::Vector(Vector::Select(Instant { selector, shift })))
    }

    pub(super) fn range(&mut self, matrix: &MatrixSelector) -> Compiled<Root> {
        self.matchers(&matrix.vs)?;
        self.skip_brackets();
        let shift = self.shift(matrix.vs.offset.as_ref(), matrix.vs.at.as_ref());
        let range_ms = ms(matrix.range);
        let reach_ms = range_ms.saturating_add(shift.reach_ms());
        let selector = self.select(&matrix.vs, reach_ms, SelectionKind::Range)?;
        Ok(Root::Window(Window::Samples { selector, range_ms, shift }))
    }

    pub(super) fn subquery(&mut self, subquery: &SubqueryExpr) -> Compiled<Root> {
        let range_ms = ms(subquery.range);
        let outer_ms = self.outer_ms;
        let offset_ms = offset_ms(subquery.offset.as_ref());
        self.outer_ms = outer_ms.saturating_add(range_ms).saturating_add(offset_ms.max(0));
        let inner = self.vector(&subquery.expr)?;
        self.outer_ms = outer_ms;
        self.skip_brackets();
        let step_ms = subquery.step.map(ms).filter(|step_ms| *step_ms > 0);
        let shift = self.shift(subquery.offset.as_ref(), subquery.at.as_ref());
        Ok(Root::Window(Window::Subquery { inner, range_ms, step_ms, shift }))
    }

    /// Remembers a selector that looks back `reach_ms` from where it is evaluated.
    fn select(
        &mut self,
        selector: &VectorSelector,
        reach_ms: i64,
        kind: SelectionKind,
    ) -> Compiled<SelectorId> {
        let parsed = Selector::new(selector, self.patterns).map_err(|error| {
            let text = error.to_string().into();
            super::refusal(self.offset(), ExpressionReason::Syntax { text })
        })?;
        let id = SelectorId(self.selections.len() as u32);
        let reach_ms = self.outer_ms.saturating_add(reach_ms);
        self.selections.push(Selection { selector: parsed, reach_ms, kind });
        Ok(id)
    }

    /// Steps past a metric name and matchers.
    fn matchers(&mut self, selector: &VectorSelector) -> Compiled<()> {
        if selector.name.is_some() {
            self.next += 1;
        }
        if self.peeks("{") {
            let offset = self.offset();
            self.skip_brackets();
            if !selector.matchers.or_matchers.is_empty() {
                return unsupported(offset, "`or` in braces", Tier::None);
            }
        }
        Ok(())
    }

    /// Steps past `offset` and `@`, in either order.
    fn shift(&mut self, offset: Option<&Offset>, at: Option<&AtModifier>) -> Shift {
        loop {
            let place = self.offset();
            if self.accept("offset") {
                self.seek(|token, _| matches!(token.kind, TokenKind::Number | TokenKind::Word));
                if matches!(offset, Some(Offset::Neg(_))) {
                    self.note_tick(place, "an `offset` into the future");
                }
            } else if self.accept("@") {
                self.seek(|token, _| matches!(token.kind, TokenKind::Number | TokenKind::Word));
                if self.peeks("(") {
                    self.skip_brackets();
                }
                match at {
                    Some(AtModifier::At(_)) => self.note_unkept(place, "`@` with a fixed time"),
                    _ => self.note_tick(place, "`@`"),
                }
            } else {
                break;
            }
        }
        Shift { offset_ms: offset_ms(offset), at: at.map(fixed) }
    }
}

impl Shift {
    fn reach_ms(self) -> i64 {
        self.offset_ms.max(0)
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn offset_ms(offset: Option<&Offset>) -> i64 {
    match offset {
        None => 0,
        Some(Offset::Pos(duration)) => ms(*duration),
        Some(Offset::Neg(duration)) => -ms(*duration),
    }
}

fn fixed(at: &AtModifier) -> At {
    match at {
        AtModifier::Start => At::Start,
        AtModifier::End => At::End,
        AtModifier::At(time) => At::Time(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => ms(after),
            Err(before) => -ms(before.duration()),
        }),
    }
}
