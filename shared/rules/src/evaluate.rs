//! Runs a checked rule on facts.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use crate::limits::{FACT_ELEMENT_BYTES, FACT_ELEMENTS, FACT_TEXT_BYTES};
use crate::node::{Arithmetic, Conversion, Fold, Folding, Node, Order, TextTest};
use crate::number::Number;
use crate::rule::{Failure, NoAnswer};
use crate::value::{Facts, List, Value};

type Answer<'x> = Result<Value<'x>, NoAnswer>;

/// One run of a rule. A fact is asked for when it first decides, and held until the run ends.
pub(crate) struct Evaluation<'e> {
    names: &'e [Arc<str>],
    facts: &'e dyn Facts,
    held: Vec<OnceCell<Answer<'e>>>,
}

impl<'e> Evaluation<'e> {
    pub(crate) fn new(names: &'e [Arc<str>], facts: &'e dyn Facts) -> Self {
        Self { names, facts, held: names.iter().map(|_| OnceCell::new()).collect() }
    }

    /// The value of `node`; `variable` is that of the comprehension around it.
    pub(crate) fn run<'x>(&'x self, node: &'x Node, variable: Option<&'x Value<'x>>) -> Answer<'x> {
        match node {
            Node::Constant(value) => Ok(value.view()),
            Node::Fact(place) => self.fact(*place),
            Node::Has(place) => match self.fact(*place) {
                Ok(_) => Ok(Value::Bool(true)),
                Err(NoAnswer::NoData { .. }) => Ok(Value::Bool(false)),
                Err(failed) => Err(failed),
            },
            Node::Variable => Ok(variable.map_or(Value::Bool(false), Value::view)),
            Node::Not(inner) => self.flag(inner, variable, "!").map(|value| Value::Bool(!value)),
            Node::Negate(inner) => self.number(inner, variable, "-")?.negated().map(Value::Number).ok_or_else(overflow),
            Node::Both(sides) => self.decide(&sides.0, &sides.1, variable, false),
            Node::Either(sides) => self.decide(&sides.0, &sides.1, variable, true),
            Node::If(parts) => {
                let (condition, then, otherwise) = &**parts;
                let branch = if self.flag(condition, variable, "?:")? { then } else { otherwise };
                self.run(branch, variable)
            }
            Node::Equal(sides) => Ok(Value::Bool(self.run(&sides.0, variable)? == self.run(&sides.1, variable)?)),
            Node::Unequal(sides) => Ok(Value::Bool(self.run(&sides.0, variable)? != self.run(&sides.1, variable)?)),
            Node::Order(order, sides) => {
                ordered(*order, &self.run(&sides.0, variable)?, &self.run(&sides.1, variable)?).map(Value::Bool)
            }
            Node::Arithmetic(operator, sides) => {
                calculated(*operator, self.run(&sides.0, variable)?, &self.run(&sides.1, variable)?)
            }
            Node::List(elements) => {
                let values: Result<Vec<_>, _> = elements.iter().map(|element| self.run(element, variable)).collect();
                values.map(|values| Value::List(List::Owned(values)))
            }
            Node::Fold(folding) => self.folded(folding, variable),
            Node::In(sides) => {
                let wanted = self.run(&sides.0, variable)?;
                let list = self.list(&sides.1, variable, "in")?;
                Ok(Value::Bool(list.iter().any(|element| element == wanted)))
            }
            Node::Index(sides) => self.indexed(&sides.0, &sides.1, variable),
            Node::Size(inner) => sized(&self.run(inner, variable)?),
            Node::Text(test, sides) => tested(*test, &self.run(&sides.0, variable)?, &self.run(&sides.1, variable)?),
            Node::Matches(inner, pattern) => {
                let value = self.run(inner, variable)?;
                let Value::Text(text) = value else { return Err(wrong_type(pattern.function(), &value)) };
                Ok(Value::Bool(pattern.is_in(&text)))
            }
            Node::Convert(conversion, inner) => converted(*conversion, self.run(inner, variable)?),
        }
    }

    fn indexed<'x>(&'x self, list: &'x Node, index: &'x Node, variable: Option<&'x Value<'x>>) -> Answer<'x> {
        let list = self.list(list, variable, "[]")?;
        let index = self.number(index, variable, "[]")?.whole();
        let index = index.and_then(|index| usize::try_from(index).ok());
        let element = index.and_then(|index| list.into_elements().nth(index));
        element.ok_or_else(|| Failure::IndexOutOfBounds.into())
    }

    fn fact(&self, place: usize) -> Answer<'_> {
        let (Some(name), Some(cell)) = (self.names.get(place), self.held.get(place)) else {
            return Err(NoAnswer::NoData { name: Arc::from("") });
        };
        let held = cell.get_or_init(|| match self.facts.fact(name) {
            Some(value) if fits(&value) => Ok(value),
            Some(_) => Err(Failure::FactTooLarge { name: Arc::clone(name) }.into()),
            None => Err(NoAnswer::NoData { name: Arc::clone(name) }),
        });
        match held {
            Ok(value) => Ok(value.view()),
            Err(reason) => Err(reason.clone()),
        }
    }

    /// `||` where `decisive` is true, `&&` where it is false: the decisive value on either side wins over anything missing
    /// or failed on the other.
    fn decide<'x>(
        &'x self,
        left: &'x Node,
        right: &'x Node,
        variable: Option<&'x Value<'x>>,
        decisive: bool,
    ) -> Answer<'x> {
        let operation = if decisive { "||" } else { "&&" };
        let first = self.flag(left, variable, operation);
        if first == Ok(decisive) {
            return Ok(Value::Bool(decisive));
        }
        let second = self.flag(right, variable, operation);
        if second == Ok(decisive) {
            return Ok(Value::Bool(decisive));
        }
        first.and(second).map(Value::Bool)
    }

    fn folded<'x>(&'x self, folding: &'x Folding, variable: Option<&'x Value<'x>>) -> Answer<'x> {
        let elements = self.list(&folding.range, variable, "a comprehension")?.into_elements();
        match folding.fold {
            Fold::Exists => self.any(folding, elements, true),
            Fold::All => self.any(folding, elements, false),
            Fold::ExistsOne => {
                let mut found = 0;
                for element in elements {
                    found += usize::from(self.flag(&folding.body, Some(&element), "exists_one")?);
                }
                Ok(Value::Bool(found == 1))
            }
            Fold::Filter => {
                let mut kept = Vec::new();
                for element in elements {
                    if self.flag(&folding.body, Some(&element), "filter")? {
                        kept.push(element);
                    }
                }
                Ok(Value::List(List::Owned(kept)))
            }
            Fold::Map => {
                let mut made = Vec::new();
                for element in elements {
                    let guard = folding.guard.as_ref();
                    if guard.map_or(Ok(true), |guard| self.flag(guard, Some(&element), "map"))? {
                        made.push(self.run(&folding.body, Some(&element))?.into_owned());
                    }
                }
                Ok(Value::List(List::Owned(made)))
            }
        }
    }

    /// `exists` where `decisive` is true, `all` where it is false. As with `||` and `&&`, one decisive element wins over
    /// those that have no answer.
    fn any<'x>(
        &'x self,
        folding: &'x Folding,
        elements: impl Iterator<Item = Value<'x>>,
        decisive: bool,
    ) -> Answer<'x> {
        let operation = if decisive { "exists" } else { "all" };
        let mut open = None;
        for element in elements {
            match self.flag(&folding.body, Some(&element), operation) {
                Ok(value) if value == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(reason) => open = open.or(Some(reason)),
            }
        }
        open.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn flag(&self, node: &Node, variable: Option<&Value<'_>>, operation: &'static str) -> Result<bool, NoAnswer> {
        let value = self.run(node, variable)?;
        if let Value::Bool(value) = value { Ok(value) } else { Err(wrong_type(operation, &value)) }
    }

    fn number(&self, node: &Node, variable: Option<&Value<'_>>, operation: &'static str) -> Result<Number, NoAnswer> {
        let value = self.run(node, variable)?;
        if let Value::Number(value) = value { Ok(value) } else { Err(wrong_type(operation, &value)) }
    }

    fn list<'x>(
        &'x self,
        node: &'x Node,
        variable: Option<&'x Value<'x>>,
        operation: &'static str,
    ) -> Result<List<'x>, NoAnswer> {
        let value = self.run(node, variable)?;
        if let Value::List(list) = value { Ok(list) } else { Err(wrong_type(operation, &value)) }
    }
}

/// Whether a fact keeps within the limits that the rule's cost was reckoned with.
fn fits(value: &Value<'_>) -> bool {
    let small = |element: Value<'_>| match element {
        Value::Text(text) => text.len() <= FACT_ELEMENT_BYTES,
        Value::List(_) => false,
        Value::Bool(_) | Value::Number(_) | Value::Instant(_) | Value::Day(_) => true,
    };
    match value {
        Value::Text(text) => text.len() <= FACT_TEXT_BYTES,
        Value::List(list) => list.len() <= FACT_ELEMENTS && list.iter().all(small),
        Value::Bool(_) | Value::Number(_) | Value::Instant(_) | Value::Day(_) => true,
    }
}

fn ordered(order: Order, left: &Value<'_>, right: &Value<'_>) -> Result<bool, NoAnswer> {
    let operation = match order {
        Order::Less => "<",
        Order::AtMost => "<=",
        Order::More => ">",
        Order::AtLeast => ">=",
    };
    let found = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Instant(left), Value::Instant(right)) => Some(left.cmp(right)),
        (Value::Day(left), Value::Day(right)) => Some(left.cmp(right)),
        (Value::Number(_) | Value::Text(_) | Value::Instant(_) | Value::Day(_), _) => {
            return Err(wrong_type(operation, right));
        }
        (Value::Bool(_) | Value::List(_), _) => return Err(wrong_type(operation, left)),
    };
    Ok(found.is_some_and(|found| match order {
        Order::Less => found.is_lt(),
        Order::AtMost => found.is_le(),
        Order::More => found.is_gt(),
        Order::AtLeast => found.is_ge(),
    }))
}

fn calculated<'x>(operator: Arithmetic, left: Value<'x>, right: &Value<'x>) -> Answer<'x> {
    let operation = match operator {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
        Arithmetic::Divide => "/",
        Arithmetic::Remainder => "%",
    };
    match (operator, left, right) {
        (_, Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left, *right);
            let found = match operator {
                Arithmetic::Add => left.plus(right),
                Arithmetic::Subtract => left.minus(right),
                Arithmetic::Multiply => left.times(right),
                Arithmetic::Divide | Arithmetic::Remainder if right.is_zero() => {
                    return Err(Failure::DivisionByZero.into());
                }
                Arithmetic::Divide => left.divided_by(right),
                Arithmetic::Remainder => left.modulo(right),
            };
            found.map(Value::Number).ok_or_else(overflow)
        }
        (Arithmetic::Add, Value::Text(left), Value::Text(right)) => Ok(Value::from(left.into_owned() + right)),
        (Arithmetic::Subtract, Value::Day(left), Value::Day(right)) => {
            Ok(Value::from(i64::from(left.0) - i64::from(right.0)))
        }
        (_, Value::Number(_), other) => Err(wrong_type(operation, other)),
        (_, other, _) => Err(wrong_type(operation, &other)),
    }
}

fn sized<'x>(value: &Value<'x>) -> Answer<'x> {
    match value {
        Value::Text(text) => Ok(counted(text.chars().count())),
        Value::List(list) => Ok(counted(list.len())),
        Value::Bool(_) | Value::Number(_) | Value::Instant(_) | Value::Day(_) => Err(wrong_type("size", value)),
    }
}

fn tested<'x>(test: TextTest, text: &Value<'x>, part: &Value<'x>) -> Answer<'x> {
    let operation = match test {
        TextTest::Contains => "contains",
        TextTest::Starts => "startsWith",
        TextTest::Ends => "endsWith",
    };
    match (text, part) {
        (Value::Text(text), Value::Text(part)) => Ok(Value::Bool(match test {
            TextTest::Contains => text.contains(part.as_ref()),
            TextTest::Starts => text.starts_with(part.as_ref()),
            TextTest::Ends => text.ends_with(part.as_ref()),
        })),
        (Value::Text(_), other) | (other, _) => Err(wrong_type(operation, other)),
    }
}

fn converted(conversion: Conversion, value: Value<'_>) -> Answer<'_> {
    match (conversion, value) {
        (Conversion::Lower, Value::Text(text)) => Ok(Value::from(text.to_ascii_lowercase())),
        (Conversion::Upper, Value::Text(text)) => Ok(Value::from(text.to_ascii_uppercase())),
        (Conversion::Whole, Value::Number(number)) => Ok(Value::Number(number.truncated())),
        (Conversion::Whole, Value::Text(text)) => {
            text.parse::<i64>().map(Value::from).map_err(|_| Failure::NotANumber { function: "int" }.into())
        }
        (Conversion::Number, Value::Number(number)) => Ok(Value::Number(number)),
        (Conversion::Number, Value::Text(text)) => {
            let number = text.parse().ok().and_then(Number::from_f64);
            number.map(Value::Number).ok_or_else(|| Failure::NotANumber { function: "double" }.into())
        }
        (Conversion::Text, Value::Text(text)) => Ok(Value::Text(text)),
        (Conversion::Text, Value::Bool(value)) => Ok(Value::Text(Cow::Borrowed(if value { "true" } else { "false" }))),
        (Conversion::Text, Value::Number(number)) => Ok(Value::from(number.to_string())),
        (Conversion::Text, Value::Instant(at)) => Ok(Value::from(at.to_string())),
        (Conversion::Text, Value::Day(day)) => Ok(Value::from(day.to_string())),
        (conversion, other) => {
            let operation = match conversion {
                Conversion::Lower => "lowerAscii",
                Conversion::Upper => "upperAscii",
                Conversion::Whole => "int",
                Conversion::Number => "double",
                Conversion::Text => "string",
            };
            Err(wrong_type(operation, &other))
        }
    }
}

fn counted<'x>(count: usize) -> Value<'x> {
    Value::from(i64::try_from(count).unwrap_or(i64::MAX))
}

fn wrong_type(operation: &'static str, found: &Value<'_>) -> NoAnswer {
    Failure::WrongType { operation, found: found.kind() }.into()
}

fn overflow() -> NoAnswer {
    Failure::Overflow.into()
}
