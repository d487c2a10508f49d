//! Operators between two expressions, and aggregations.

use promql_parser::parser::{
    AggregateExpr, BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality,
};

use super::{Compiled, Compiler, boxed, unsupported};
use crate::expression::Tier;
use crate::plan::{
    Aggregate, Aggregation, Cardinality, Comparison, LabelSet, Match, Operator, Root, Scalar,
    SetOperation, SetOperator, Side, Vector, WithScalar,
};

impl Compiler<'_> {
    pub(super) fn operation(&mut self, binary: &BinaryExpr) -> Compiled<Root> {
        let left = self.expression(&binary.lhs)?;
        let operator = binary.op.to_string();
        self.expect(&operator);
        let modifier = binary.modifier.as_ref();
        self.modifiers(modifier)?;
        let right = self.expression(&binary.rhs)?;
        if let Some(operator) = set_operator(&operator) {
            return Ok(set(operator, left, right, matching(modifier)));
        }
        let operator = Operator::of(&operator).expect("all other operators are known");
        Ok(arithmetic(operator, left, right, modifier))
    }

    /// Steps past `bool`, `on`, `ignoring`, `group_left` and `group_right`.
    fn modifiers(&mut self, modifier: Option<&BinModifier>) -> Compiled<()> {
        let Some(modifier) = modifier else { return Ok(()) };
        if modifier.return_bool {
            self.expect("bool");
        }
        if modifier.matching.is_some() {
            self.next += 1;
            self.skip_brackets();
        }
        if let Some(labels) = modifier.card.labels() {
            self.next += 1;
            // Without labels of its own, what is in parentheses is the right side.
            let has_list = !labels.is_empty() || self.has_empty_parentheses();
            if has_list {
                self.skip_brackets();
            }
        }
        let fill = &modifier.fill_values;
        if fill.lhs.is_some() || fill.rhs.is_some() {
            return unsupported(self.offset(), "`fill`", Tier::Third);
        }
        Ok(())
    }

    fn has_empty_parentheses(&self) -> bool {
        let text = |at: usize| self.tokens.get(at).map(|token| &self.text[token.start..token.end]);
        text(self.next) == Some("(") && text(self.next + 1) == Some(")")
    }

    pub(super) fn aggregation(&mut self, aggregate: &AggregateExpr) -> Compiled<Root> {
        let name = aggregate.op.to_string();
        let place = self.expect(&name);
        self.skip_grouping();
        self.expect("(");
        let noted_at = self.offset();
        let parameter = aggregate.param.as_ref().map(|parameter| self.expression(parameter));
        let parameter = parameter.transpose()?;
        if parameter.is_some() {
            self.expect(",");
        }
        let vector = self.vector(&aggregate.expr)?;
        self.expect(")");
        self.skip_grouping();
        let function = Aggregate::new(&name, parameter)
            .unwrap_or_else(|| unreachable!("the parser knows no aggregation `{name}`"));
        if function.is_experimental() {
            self.note_tick(place, &format!("`{name}(…)`"));
        }
        let grouping = match &aggregate.modifier {
            None => LabelSet::Only(Box::default()),
            Some(modifier) => label_set(modifier),
        };
        let aggregation = Aggregation { function, vector, grouping, noted_at };
        Ok(Root::Vector(Vector::Aggregation(Box::new(aggregation))))
    }

    fn skip_grouping(&mut self) {
        if self.peeks("by") || self.peeks("without") {
            self.next += 1;
            self.skip_brackets();
        }
    }
}

fn set_operator(text: &str) -> Option<SetOperator> {
    Some(match text {
        "and" => SetOperator::And,
        "or" => SetOperator::Or,
        "unless" => SetOperator::Unless,
        _ => return None,
    })
}

fn set(operator: SetOperator, left: Root, right: Root, matching: LabelSet) -> Root {
    let (Root::Vector(left), Root::Vector(right)) = (left, right) else {
        unreachable!("the parser takes sets of vectors only")
    };
    Root::Vector(Vector::Set(Box::new(SetOperation { operator, left, right, matching })))
}

fn arithmetic(operator: Operator, left: Root, right: Root, modifier: Option<&BinModifier>) -> Root {
    let gives_number = modifier.is_some_and(|modifier| modifier.return_bool);
    let comparison = if gives_number { Comparison::GivesNumber } else { Comparison::Filters };
    Root::Vector(match (left, right) {
        (Root::Scalar(left), Root::Scalar(right)) => {
            return Root::Scalar(between_scalars(operator, left, right));
        }
        (Root::Vector(vector), Root::Scalar(scalar)) => {
            let side = Side::Right;
            Vector::WithScalar(Box::new(WithScalar { operator, vector, scalar, side, comparison }))
        }
        (Root::Scalar(scalar), Root::Vector(vector)) => {
            let side = Side::Left;
            Vector::WithScalar(Box::new(WithScalar { operator, vector, scalar, side, comparison }))
        }
        (Root::Vector(left), Root::Vector(right)) => Vector::Match(Box::new(Match {
            operator,
            left,
            right,
            matching: matching(modifier),
            cardinality: cardinality(modifier),
            comparison,
        })),
        sides => unreachable!("the parser takes numbers and vectors, not {sides:?}"),
    })
}

/// Numbers that are known are computed once.
fn between_scalars(operator: Operator, left: Scalar, right: Scalar) -> Scalar {
    match (&left, &right) {
        (Scalar::Number(left), Scalar::Number(right)) => {
            Scalar::Number(operator.number(*left, *right))
        }
        _ => Scalar::Operation(Box::new((operator, left, right))),
    }
}

fn matching(modifier: Option<&BinModifier>) -> LabelSet {
    let matching = modifier.and_then(|modifier| modifier.matching.as_ref());
    matching.map_or(LabelSet::AllBut(Box::default()), label_set)
}

fn cardinality(modifier: Option<&BinModifier>) -> Cardinality {
    match modifier.map(|modifier| &modifier.card) {
        Some(VectorMatchCardinality::ManyToOne(labels)) => {
            Cardinality::Grouped { many: Side::Left, include: boxed(labels) }
        }
        Some(VectorMatchCardinality::OneToMany(labels)) => {
            Cardinality::Grouped { many: Side::Right, include: boxed(labels) }
        }
        _ => Cardinality::OneToOne,
    }
}

fn label_set(modifier: &LabelModifier) -> LabelSet {
    match modifier {
        LabelModifier::Include(labels) => LabelSet::Only(boxed(labels)),
        LabelModifier::Exclude(labels) => LabelSet::AllBut(boxed(labels)),
    }
}
