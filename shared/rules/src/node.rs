//! A checked rule as it runs: a tree of typed nodes.

use crate::pattern::Pattern;
use crate::value::Value;

/// Two operands, left first.
pub(crate) type Sides = Box<(Node, Node)>;

/// One step of a rule.
#[derive(Debug)]
pub(crate) enum Node {
    Constant(Value<'static>),
    /// The fact of the name at this place of the rule's names.
    Fact(usize),
    /// Whether there is data for the name at this place.
    Has(usize),
    /// The variable of the comprehension around it; there is at most one.
    Variable,
    Not(Box<Node>),
    Negate(Box<Node>),
    Both(Sides),
    Either(Sides),
    If(Box<(Node, Node, Node)>),
    Equal(Sides),
    Unequal(Sides),
    Order(Order, Sides),
    Arithmetic(Arithmetic, Sides),
    In(Sides),
    Index(Sides),
    List(Vec<Node>),
    Size(Box<Node>),
    Text(TextTest, Sides),
    /// `matches`, and `contains` of a short literal.
    Matches(Box<Node>, Box<Pattern>),
    Convert(Conversion, Box<Node>),
    Fold(Box<Folding>),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// Arithmetic on two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A question about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextTest {
    Contains,
    Starts,
    Ends,
}

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    Lower,
    Upper,
    Whole,
    Number,
    Text,
}

/// A comprehension.
#[derive(Debug)]
pub(crate) struct Folding {
    pub(crate) fold: Fold,
    pub(crate) range: Node,
    /// Which elements count; only of `map` with three arguments.
    pub(crate) guard: Option<Node>,
    pub(crate) body: Node,
}

/// What a comprehension makes of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    Exists,
    All,
    ExistsOne,
    Filter,
    Map,
}
