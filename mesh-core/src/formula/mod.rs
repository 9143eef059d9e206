//! Formulas that a user writes as text, over a few named quantities: `0.7 * cpu + 12 * in_flight`.
//!
//! The syntax is that of CEL, the Common Expression Language, and the crate `cel` parses it. The
//! parsed expression is then compiled into a short list of steps over `f64`, which differs from
//! CEL in one point: every number is a floating-point number, so `12 * in_flight` and `1 / 2`
//! (0.5) mean what they say. The steps have no loops, jumps, texts or lists, so the time for one
//! evaluation has a bound, and each step is one operation of IEEE 754 or a function of `libm`: all
//! platforms agree on the value.
//!
//! The compiler also knows between which bounds each part of the formula lies (interval
//! arithmetic). It refuses a formula in which some part may divide by zero, be no number or be
//! infinite. So a formula that is accepted has a finite value whatever the quantities are.

mod bounds;
mod compile;

use std::ops::Range;
use std::sync::Arc;

use self::compile::compile;

/// The longest formula, in bytes.
pub const MAX_FORMULA_BYTES: usize = 500;
/// How many brackets may be open at one place of a formula.
pub const MAX_FORMULA_NESTING: usize = 8;
/// How many intermediate values a formula may have at once.
const MAX_STACK: usize = 32;

/// A number that formulas may name. Its values are 0 or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one sentence with its unit.
    pub summary: &'static str,
    /// The greatest value that it may have.
    pub max: f64,
}

/// A formula, checked and compiled. Cloning is cheap.
///
/// ```
/// use mesh_core::formula::{Formula, Quantity};
///
/// const SIDE: Quantity = Quantity { name: "side", summary: "Its length in metres.", max: 1e3 };
/// let area = Formula::parse("side * side", &[SIDE])?;
/// assert_eq!(area.evaluate(&[1.5], 0b1), 2.25);
/// let error = Formula::parse("1 / side", &[SIDE]).expect_err("it may be 0");
/// assert_eq!(&"1 / side"[error.span], "side");
/// # Ok::<(), mesh_core::formula::FormulaError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Formula {
    text: Arc<str>,
    steps: Arc<[Step]>,
    /// One bit for each quantity that it names, the lowest for the first.
    named: u64,
}

/// Why a text is not a formula.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: {expected}")]
pub struct FormulaError {
    /// Which part of the text is wrong, in bytes.
    pub span: Range<usize>,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub expected: String,
}

/// One step of a formula. It takes its arguments from a stack, and leaves its result there. A truth
/// is 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Constant(f64),
    /// The value of the quantity at this position.
    Value(u8),
    /// Whether the quantity at this position is known.
    Known(u8),
    Unary(Unary),
    Binary(Binary),
    /// The second of three if the first is true, else the third. All three have been computed.
    Select,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Unary {
    Negate,
    Not,
    Abs,
    Sqrt,
    Exp,
    Ln,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Min,
    Max,
    Less,
    AtMost,
    Equal,
    And,
    Or,
}

impl Formula {
    /// Reads and compiles a formula over these quantities, of which there are at most 64.
    ///
    /// # Errors
    /// If the text is not a formula, if it names anything else, if its value is not a number, or if
    /// some part of it may divide by zero or be infinite.
    pub fn parse(text: &str, quantities: &[Quantity]) -> Result<Self, FormulaError> {
        let compiled = compile(text, quantities)?;
        Ok(Self { text: text.into(), steps: compiled.steps.into(), named: compiled.named })
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which quantities it names: one bit for each, the lowest for the first of the list that it
    /// was parsed with.
    pub const fn named(&self) -> u64 {
        self.named
    }

    /// Its value: always a finite number if each of `values`, in the order of the list that it was
    /// parsed with, lies in its bounds. The bits of `known` say which of the quantities are known;
    /// the value of the others is what they count as.
    ///
    /// # Panics
    /// If there are fewer values than quantities.
    pub fn evaluate(&self, values: &[f64], known: u64) -> f64 {
        let mut stack = [0.0; MAX_STACK];
        let mut len = 0;
        for step in self.steps.iter() {
            let (taken, result) = match *step {
                Step::Constant(number) => (0, number),
                Step::Value(at) => (0, values[usize::from(at)]),
                Step::Known(at) => (0, f64::from(u8::from(known >> at & 1 == 1))),
                Step::Unary(operation) => (1, operation.of(stack[len - 1])),
                Step::Binary(operation) => (2, operation.of(stack[len - 2], stack[len - 1])),
                Step::Select => {
                    let [condition, one, other] = [stack[len - 3], stack[len - 2], stack[len - 1]];
                    (3, if condition == 0.0 { other } else { one })
                }
            };
            // The compiler has made sure that arguments are there and the stack is large enough.
            len -= taken;
            stack[len] = result;
            len += 1;
        }
        // Minus zero and zero are the same score.
        stack[0] + 0.0
    }
}

/// Two formulas are equal if their texts are.
impl PartialEq for Formula {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

fn truth(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

impl Unary {
    fn of(self, x: f64) -> f64 {
        match self {
            Self::Negate => -x,
            Self::Not => truth(x == 0.0),
            Self::Abs => x.abs(),
            Self::Sqrt => x.sqrt(),
            Self::Exp => libm::exp(x),
            Self::Ln => libm::log(x),
        }
    }
}

impl Binary {
    fn of(self, x: f64, y: f64) -> f64 {
        match self {
            Self::Add => x + y,
            Self::Subtract => x - y,
            Self::Multiply => x * y,
            Self::Divide => x / y,
            Self::Min => x.min(y),
            Self::Max => x.max(y),
            Self::Less => truth(x < y),
            Self::AtMost => truth(x <= y),
            Self::Equal => truth(x == y),
            Self::And => truth(x != 0.0 && y != 0.0),
            Self::Or => truth(x != 0.0 || y != 0.0),
        }
    }
}

#[cfg(test)]
mod tests;
