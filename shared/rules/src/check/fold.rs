//! Comprehensions: `exists`, `all`, `exists_one`, `filter` and `map`, never one inside of another's condition.

use cel::common::ast::IdedExpr;

use super::{Checked, Checker, Size, Variable, dotted};
use crate::catalogue::{Element, Type};
use crate::node::{Fold, Folding, Node};

/// Whether these are the name and the arguments of a comprehension.
pub(super) fn is_fold(name: &str, arguments: &[IdedExpr]) -> bool {
    fold_of(name).is_some_and(|fold| arguments.len() == 2 || (fold == Fold::Map && arguments.len() == 3))
}

impl Checker<'_> {
    pub(super) fn fold(
        &mut self,
        tree: &IdedExpr,
        name: &str,
        range: &IdedExpr,
        arguments: &[IdedExpr],
        depth: usize,
    ) -> Checked {
        let over = self.expression(range, depth + 1);
        let (Some(fold), [variable, guard @ .., body]) = (fold_of(name), arguments) else {
            return Checked::unknown();
        };
        self.expect(range, &over, &[Type::List(Element::Any)], name);
        if self.variable.is_some() {
            self.violate(
                tree,
                "RULE_NESTED_COMPREHENSION",
                format!("{name} cannot stand inside of another comprehension"),
            );
            return Checked::unknown();
        }
        let Some(variable) = dotted(variable).filter(|name| !name.contains('.')) else {
            self.violate(variable, "RULE_ARGUMENTS", format!("the first argument of {name} names its element"));
            return Checked::unknown();
        };
        self.nodes += 1;
        let of = over.of.element().map_or(Type::Any, Type::from);
        self.variable = Some(Variable { name: variable, of, bytes: over.size.element });
        let outside = std::mem::replace(&mut self.repeats, over.size.elements.max(1));
        let guard = guard.first().map(|part| (part, self.expression(part, depth + 1)));
        let made = self.expression(body, depth + 1);
        self.variable = None;
        self.repeats = outside;
        if let Some((part, guard)) = &guard {
            self.expect(part, guard, &[Type::Bool], "the condition of map");
        }
        let (of, size) = self.folded(fold, body, name, &over, &made);
        let guard = guard.map(|(_, guard)| guard.node);
        Checked { node: Node::Fold(Box::new(Folding { fold, range: over.node, guard, body: made.node })), of, size }
    }

    /// What comes out of a comprehension over `over` that makes `made` of each element.
    fn folded(&mut self, fold: Fold, body: &IdedExpr, name: &str, over: &Checked, made: &Checked) -> (Type, Size) {
        match fold {
            Fold::Exists | Fold::All | Fold::ExistsOne => {
                self.expect(body, made, &[Type::Bool], name);
                (Type::Bool, Size::default())
            }
            Fold::Filter => {
                self.expect(body, made, &[Type::Bool], name);
                (Type::List(over.of.element().unwrap_or(Element::Any)), over.size)
            }
            Fold::Map => {
                let element = made.of.as_element();
                if element.is_none() {
                    self.unsupported(body, "a list inside of a list");
                }
                let size = Size { text: 0, elements: over.size.elements, element: made.size.text };
                self.built(body, size.total());
                (Type::List(element.unwrap_or(Element::Any)), size)
            }
        }
    }
}

fn fold_of(name: &str) -> Option<Fold> {
    match name {
        "exists" => Some(Fold::Exists),
        "all" => Some(Fold::All),
        "exists_one" | "existsOne" => Some(Fold::ExistsOne),
        "filter" => Some(Fold::Filter),
        "map" => Some(Fold::Map),
        _ => None,
    }
}
