//! Decides whether a rule's source is accepted: names, types, sizes and cost, with every violation at once.

mod call;
mod fold;

use std::panic::resume_unwind;
use std::sync::Arc;

use cel::common::ast::{Expr, IdedExpr, ListExpr, LiteralValue, SourceInfo, operators};

use crate::catalogue::{Catalogue, Element, Known, Type};
use crate::limits::{
    BRACKETS, COST_NS, DEPTH, FACT_ELEMENT_BYTES, FACT_ELEMENTS, FACT_TEXT_BYTES, LIST_LITERAL, NODES, SOURCE_BYTES,
};
use crate::node::Node;
use crate::number::Number;
use crate::rule::Wanted;
use crate::value::{List, Value};
use crate::violation::{RuleViolation, RuleViolations};

/// A rule that may run.
pub(crate) struct Accepted {
    pub(crate) root: Node,
    pub(crate) names: Vec<Arc<str>>,
}

/// The parser recurses: a bracket takes 100 KiB of stack without optimisation, an operator of a long chain some 2 KiB. This
/// holds the worst source of [`SOURCE_BYTES`], whatever the caller's own stack.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// What looking at a node takes, in nanoseconds.
const VISIT_NS: u64 = 60;

/// Parses and checks a source.
pub(crate) fn accept(source: &str, catalogue: &Catalogue, wanted: Wanted) -> Result<Accepted, RuleViolations> {
    if source.len() > SOURCE_BYTES {
        let description = format!("a rule has at most {SOURCE_BYTES} bytes, this one has {}", source.len());
        return Err(whole("RULE_TOO_LONG", description));
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("rule-compiler".to_owned()).stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, || parse_and_check(source, catalogue, wanted)) {
            Ok(running) => running.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => Err(whole("RULE_NOT_CHECKED", "the rule cannot be checked just now; try again".to_owned())),
        }
    })
}

fn parse_and_check(source: &str, catalogue: &Catalogue, wanted: Wanted) -> Result<Accepted, RuleViolations> {
    // Without macros, comprehensions stay the calls that the author wrote.
    let parser = cel::Env::default().with_optional_support(false).parser();
    let parsed = parser.max_recursion_depth(BRACKETS).error_recovery_limit(4).parse_with_source_info(source);
    let (tree, places) = parsed.map_err(|errors| RuleViolations::new(errors.errors.iter().map(syntax).collect()))?;
    let mut checker = Checker {
        catalogue,
        places: &places,
        violations: Vec::new(),
        names: Vec::new(),
        variable: None,
        repeats: 1,
        nodes: 0,
        patterns: 0,
        cost_ns: 0,
    };
    let root = checker.expression(&tree, 1);
    let wanted = Type::from(wanted);
    if root.of.meet(wanted).is_none() {
        checker.violate(&tree, "RULE_TYPE", format!("the rule must give a {wanted}, not a {}", root.of));
    }
    checker.finish(root.node)
}

/// A checked expression.
struct Checked {
    node: Node,
    of: Type,
    size: Size,
}

/// How large a value can get. What may turn out to be a text or a list is both.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Bytes of a text.
    text: u64,
    /// Elements of a list.
    elements: u64,
    /// Bytes of one element's text.
    element: u64,
}

/// The variable of a comprehension.
struct Variable {
    name: String,
    of: Type,
    bytes: u64,
}

struct Checker<'a> {
    catalogue: &'a Catalogue,
    places: &'a SourceInfo,
    violations: Vec<RuleViolation>,
    names: Vec<Arc<str>>,
    variable: Option<Variable>,
    /// How often what is being checked may run.
    repeats: u64,
    nodes: usize,
    patterns: usize,
    cost_ns: u64,
}

impl Checker<'_> {
    fn expression(&mut self, tree: &IdedExpr, depth: usize) -> Checked {
        self.nodes += 1;
        self.charge(VISIT_NS);
        if depth > DEPTH {
            self.violate(tree, "RULE_TOO_DEEP", format!("a rule is nested at most {DEPTH} deep"));
            return Checked::unknown();
        }
        if let Some(name) = dotted(tree) {
            return self.name(tree, &name);
        }
        match &tree.expr {
            Expr::Literal(literal) => self.literal(tree, literal),
            Expr::Call(call) => self.call(tree, call, depth),
            Expr::List(list) => self.list(tree, list, depth),
            Expr::Map(_) | Expr::Struct(_) => self.unsupported(tree, "maps and messages"),
            Expr::Select(_) | Expr::Ident(_) => self.unsupported(tree, "a field of something that is no name"),
            Expr::Comprehension(_) | Expr::Unspecified => self.unsupported(tree, "this"),
        }
    }

    fn finish(mut self, root: Node) -> Result<Accepted, RuleViolations> {
        if self.nodes > NODES {
            let description =
                format!("a rule has at most {NODES} names, values and operators, this one {}", self.nodes);
            self.violations.push(first("RULE_TOO_MANY_NODES", description));
        }
        if self.cost_ns > COST_NS {
            let (cost, most) = (self.cost_ns.div_ceil(1_000_000), COST_NS / 1_000_000);
            let description = format!("on the largest facts the rule could take {cost} ms; the most is {most} ms");
            self.violations.push(first("RULE_TOO_COSTLY", description));
        }
        if self.violations.is_empty() {
            Ok(Accepted { root, names: self.names })
        } else {
            Err(RuleViolations::new(self.violations))
        }
    }

    fn name(&mut self, tree: &IdedExpr, name: &str) -> Checked {
        if let Some(variable) = &self.variable {
            if variable.name == name {
                let size = Size::of_text(variable.bytes);
                return Checked { node: Node::Variable, of: variable.of, size };
            }
            if name.split('.').next() == Some(&variable.name) {
                let description = format!("{} is an element of a list and has no fields", variable.name);
                self.violate(tree, "RULE_UNKNOWN_NAME", description);
                return Checked::unknown();
            }
        }
        match self.place_of(tree, name) {
            Some((place, of)) => Checked { node: Node::Fact(place), of, size: Size::of_fact(of) },
            None => Checked::unknown(),
        }
    }

    /// The place of a known name among the rule's names, and its type.
    fn place_of(&mut self, tree: &IdedExpr, name: &str) -> Option<(usize, Type)> {
        let description = match self.catalogue.find(name) {
            Known::Name(of) => {
                let place = self.names.iter().position(|known| **known == *name).unwrap_or_else(|| {
                    self.names.push(name.into());
                    self.names.len() - 1
                });
                return Some((place, of));
            }
            Known::Group => format!("{name} is a group of names; say which of them"),
            Known::Unknown => match self.catalogue.suggestion(name) {
                Some(near) => format!("{name} is not known; did you mean {near}?"),
                None => format!("{name} is not known"),
            },
        };
        self.violate(tree, "RULE_UNKNOWN_NAME", description);
        None
    }

    fn literal(&mut self, tree: &IdedExpr, literal: &LiteralValue) -> Checked {
        let number = |number| Checked::constant(Value::Number(number), Type::Number);
        match literal {
            LiteralValue::Boolean(value) => Checked::constant(Value::Bool(*value.inner()), Type::Bool),
            LiteralValue::Int(value) => number(Number::from(*value.inner())),
            LiteralValue::UInt(value) => number(Number::from(*value.inner())),
            LiteralValue::Double(value) => match Number::from_f64(*value.inner()) {
                Some(value) => number(value),
                None => self.unsupported(tree, "a number that is not finite"),
            },
            LiteralValue::String(value) => {
                let size = Size::of_text(bytes(value.inner().len()));
                let value = Value::from(value.inner().to_owned());
                Checked { size, ..Checked::constant(value, Type::Text) }
            }
            LiteralValue::Null => self.unsupported(tree, "null (has(name) asks whether there is data)"),
            LiteralValue::Bytes(_) => self.unsupported(tree, "a literal of bytes"),
        }
    }

    fn list(&mut self, tree: &IdedExpr, list: &ListExpr, depth: usize) -> Checked {
        if list.elements.len() > LIST_LITERAL {
            let description = format!("a list has at most {LIST_LITERAL} elements, not {}", list.elements.len());
            self.violate(tree, "RULE_LIST_TOO_LONG", description);
        }
        let mut nodes = Vec::new();
        let mut common: Option<Type> = None;
        let mut size = Size { elements: bytes(list.elements.len()), ..Size::default() };
        for part in &list.elements {
            let element = self.expression(part, depth + 1);
            let of = element.of.as_element().map(Type::from);
            match (of, common.map_or(of, |common| common.meet(element.of))) {
                (None, _) => {
                    self.unsupported(part, "a list inside of a list");
                }
                (_, None) => self.violate(part, "RULE_TYPE", "the elements of a list are of one type".to_owned()),
                (_, met) => common = met,
            }
            size.element = size.element.max(element.size.text);
            nodes.push(element.node);
        }
        let of = Type::List(common.and_then(Type::as_element).unwrap_or(Element::Any));
        let constants: Option<Vec<Value<'static>>> = nodes.iter().map(Node::constant).collect();
        let node = match constants {
            Some(values) => Node::Constant(Value::List(List::Owned(values))),
            None => Node::List(nodes),
        };
        Checked { node, of, size }
    }

    /// Whether `checked` has one of the types that `what` takes; [`Type::Any`] may turn out to.
    fn expect(&mut self, tree: &IdedExpr, checked: &Checked, types: &[Type], what: &str) -> bool {
        let found = checked.of;
        let fits = types.iter().any(|wanted| wanted.meet(found).is_some());
        if !fits {
            let wanted: Vec<String> = types.iter().map(Type::to_string).collect();
            self.violate(tree, "RULE_TYPE", format!("{what} takes a {}, not a {found}", wanted.join(" or a ")));
        }
        fits
    }

    fn unsupported(&mut self, tree: &IdedExpr, what: &str) -> Checked {
        self.violate(tree, "RULE_NOT_SUPPORTED", format!("{what} cannot stand in a rule"));
        Checked::unknown()
    }

    fn charge(&mut self, cost_ns: u64) {
        self.cost_ns = self.cost_ns.saturating_add(cost_ns.saturating_mul(self.repeats));
    }

    fn violate(&mut self, tree: &IdedExpr, reason: &'static str, description: String) {
        let mut leftmost = tree;
        while let Expr::Select(select) = &leftmost.expr {
            leftmost = &select.operand;
        }
        let offset = self.places.offset_for(leftmost.id).map_or(0, |(start, _)| start);
        let before = usize::try_from(offset).ok().and_then(|offset| self.places.source.get(..offset));
        let mut before = before.unwrap_or_default();
        // A call's own place is its bracket; its name stands before that.
        if let Expr::Call(call) = &leftmost.expr {
            before = before.trim_end().strip_suffix(call.func_name.as_str()).unwrap_or(before);
        }
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
        self.violations.push(RuleViolation { line, column, reason, description });
    }
}

impl Checked {
    fn constant(value: Value<'static>, of: Type) -> Self {
        Self { node: Node::Constant(value), of, size: Size::default() }
    }

    fn new(node: Node, of: Type) -> Self {
        Self { node, of, size: Size::default() }
    }

    /// Stands where something was refused, so that the rest is checked too. Never runs.
    fn unknown() -> Self {
        Self::new(Node::Constant(Value::Bool(false)), Type::Any)
    }
}

impl Size {
    fn of_text(text: u64) -> Self {
        Self { text, ..Self::default() }
    }

    /// The largest that a fact may be.
    fn of_fact(of: Type) -> Self {
        let list = Self { text: 0, elements: bytes(FACT_ELEMENTS), element: bytes(FACT_ELEMENT_BYTES) };
        match of {
            Type::Text => Self::of_text(bytes(FACT_TEXT_BYTES)),
            Type::List(_) => list,
            Type::Any => Self { text: bytes(FACT_TEXT_BYTES), ..list },
            Type::Bool | Type::Number | Type::Instant | Type::Day => Self::default(),
        }
    }

    /// Bytes of all its text, whichever it is.
    fn total(self) -> u64 {
        self.text.max(self.elements.saturating_mul(self.element))
    }

    fn larger(self, other: Self) -> Self {
        Self {
            text: self.text.max(other.text),
            elements: self.elements.max(other.elements),
            element: self.element.max(other.element),
        }
    }
}

impl Node {
    fn constant(&self) -> Option<Value<'static>> {
        if let Self::Constant(value) = self { Some(value.clone()) } else { None }
    }
}

/// The dotted name that `tree` spells: names joined by points, or by an index that is a text.
fn dotted(tree: &IdedExpr) -> Option<String> {
    let mut parts = Vec::new();
    let mut rest = tree;
    loop {
        if let Expr::Ident(name) = &rest.expr {
            parts.push(name.trim_start_matches('.'));
            parts.reverse();
            return Some(parts.join("."));
        }
        let (operand, part) = select(&rest.expr)?;
        parts.push(part);
        rest = operand;
    }
}

/// The two parts of `operand.part` or `operand["part"]`.
fn select(expr: &Expr) -> Option<(&IdedExpr, &str)> {
    if let Expr::Select(select) = expr {
        return (!select.test).then_some((&*select.operand, select.field.as_str()));
    }
    let Expr::Call(call) = expr else { return None };
    let [operand, IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }] = call.args.as_slice() else {
        return None;
    };
    (call.func_name == operators::INDEX).then_some((operand, key.inner()))
}

fn syntax(error: &cel::ParseError) -> RuleViolation {
    let place = |number: isize| usize::try_from(number).unwrap_or(0).max(1);
    let text = error.msg.trim_start_matches("Syntax error: ");
    let description = if text.contains("Recursion limit") {
        format!("brackets are nested at most {BRACKETS} deep")
    } else {
        // What follows is the list of all tokens that the grammar knows.
        let text = text.split(" expecting ").next().unwrap_or(text);
        format!("this is not CEL: {}", text.replace("'<EOF>'", "the end"))
    };
    RuleViolation { line: place(error.pos.0), column: place(error.pos.1), reason: "RULE_SYNTAX", description }
}

fn first(reason: &'static str, description: String) -> RuleViolation {
    RuleViolation { line: 1, column: 1, reason, description }
}

fn whole(reason: &'static str, description: String) -> RuleViolations {
    RuleViolations::new(vec![first(reason, description)])
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
