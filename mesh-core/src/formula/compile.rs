//! The compiler: from the text of a formula to its steps.

use std::ops::Range;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};
use cel::parser::Parser;

use super::bounds::{Bounds, Hazard};
use super::{
    Binary, FormulaError, MAX_FORMULA_BYTES, MAX_FORMULA_NESTING, MAX_STACK, Quantity, Step, Unary,
};
use crate::text::closest;

/// What a formula may consist of, for error messages.
const ALLOWED: &str = "expected numbers, names, + - * /, comparisons, && || !, condition ? a : b, \
                       and the functions min, max, abs, sqrt, exp, ln and known";

/// A compiled formula.
pub(super) struct Compiled {
    pub(super) steps: Vec<Step>,
    pub(super) named: u64,
}

/// What a part of a formula is.
#[derive(Clone, Copy, PartialEq)]
enum FormulaPart {
    Number(Bounds),
    Truth,
}

struct FormulaCompiler<'a> {
    text: &'a str,
    places: SourceInfo,
    quantities: &'a [Quantity],
    steps: Vec<Step>,
    named: u64,
    /// How many values are on the stack after the steps so far.
    stacked: usize,
}

pub(super) fn compile(text: &str, quantities: &[Quantity]) -> Result<Compiled, FormulaError> {
    check_text(text)?;
    let (expression, places) = Parser::new()
        .parse_with_source_info(text)
        .map_err(|errors| syntax_error(text, errors.errors.first()))?;
    let mut compiler =
        FormulaCompiler { text, places, quantities, steps: Vec::new(), named: 0, stacked: 0 };
    if compiler.part(&expression)? == FormulaPart::Truth {
        let problem = "the formula is a condition".to_owned();
        let expected = "expected a number, as in `cpu > 50 ? 100 : 0`".to_owned();
        return Err(FormulaError { span: 0..text.len(), problem, expected });
    }
    if compiler.named == 0 {
        let problem = "the formula names nothing that is known of a peer".to_owned();
        let names = names(quantities);
        let expected = format!("expected at least one of {names}");
        return Err(FormulaError { span: 0..text.len(), problem, expected });
    }
    Ok(Compiled { steps: compiler.steps, named: compiler.named })
}

fn names(quantities: &[Quantity]) -> String {
    quantities.iter().map(|quantity| quantity.name).collect::<Vec<_>>().join(", ")
}

/// Bounds for the parser, whose time and stack grow with length and nesting. In plain ASCII,
/// columns are bytes; and there are no texts, in which brackets would mean nothing.
fn check_text(text: &str) -> Result<(), FormulaError> {
    let error = |span: Range<usize>, problem: &str, expected: String| {
        Err(FormulaError { span, problem: problem.to_owned(), expected })
    };
    if text.len() > MAX_FORMULA_BYTES {
        let expected = format!("expected at most {MAX_FORMULA_BYTES} bytes");
        return error(0..text.len(), "the formula is too long", expected);
    }
    let is_allowed = |c: char| c == ' ' || c.is_ascii_graphic() && !"\"'`\\#@$~^;".contains(c);
    if let Some((at, c)) = text.char_indices().find(|(_, c)| !is_allowed(*c)) {
        let problem = format!("{c:?} has no meaning in a formula");
        return error(at..at + c.len_utf8(), &problem, ALLOWED.to_owned());
    }
    let (mut open, mut run) = (0usize, 0usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' | b'?' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        run = if matches!(byte, b'!' | b'-') { run + 1 } else { 0 };
        if open > MAX_FORMULA_NESTING || run > MAX_FORMULA_NESTING {
            let expected = format!("expected at most {MAX_FORMULA_NESTING} levels");
            return error(at..at + 1, "the formula is nested too deeply", expected);
        }
    }
    Ok(())
}

fn syntax_error(text: &str, first: Option<&cel::ParseError>) -> FormulaError {
    // Lines and columns are counted from 1, and a formula is one line.
    let column = first.map_or(1, |error| error.pos.1.max(1)) as usize;
    let start = (column - 1).min(text.len());
    let end = (start + 1).min(text.len());
    let message = first.map_or("not a formula", |error| error.msg.as_str());
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split(" expecting ").next().unwrap_or_default();
    let problem = message.replace("'<EOF>'", "the end of the formula");
    FormulaError { span: start..end, problem, expected: ALLOWED.to_owned() }
}

impl FormulaCompiler<'_> {
    fn error(&self, at: &IdedExpr, problem: impl Into<String>, expected: &str) -> FormulaError {
        let place = self.places.offset_for(at.id);
        let (start, end) =
            place.map_or((0, self.text.len()), |(first, last)| (first as usize, last as usize + 1));
        let start = start.min(self.text.len());
        let end = end.clamp(start, self.text.len());
        FormulaError { span: start..end, problem: problem.into(), expected: expected.to_owned() }
    }

    fn push(&mut self, at: &IdedExpr, step: Step) -> Result<(), FormulaError> {
        let taken = match step {
            Step::Constant(_) | Step::Value(_) | Step::Known(_) => 0,
            Step::Unary(_) => 1,
            Step::Binary(_) => 2,
            Step::Select => 3,
        };
        self.steps.push(step);
        self.stacked = self.stacked + 1 - taken;
        if self.stacked > MAX_STACK {
            return Err(self.error(at, "the formula is too complex", "expected fewer parts"));
        }
        Ok(())
    }

    /// Compiles a part: its steps leave one value on the stack.
    fn part(&mut self, part: &IdedExpr) -> Result<FormulaPart, FormulaError> {
        let constant = match &part.expr {
            Expr::Literal(LiteralValue::Int(number)) => **number as f64,
            Expr::Literal(LiteralValue::UInt(number)) => **number as f64,
            Expr::Literal(LiteralValue::Double(number)) => **number,
            Expr::Literal(LiteralValue::Boolean(condition)) => {
                self.push(part, Step::Constant(super::truth(**condition)))?;
                return Ok(FormulaPart::Truth);
            }
            Expr::Ident(name) => {
                let at = self.quantity(part, name)?;
                self.push(part, Step::Value(at))?;
                let max = self.quantities[usize::from(at)].max;
                return Ok(FormulaPart::Number(Bounds { low: 0.0, high: max }));
            }
            Expr::Call(call) if call.target.is_none() => return self.call(part, call),
            _ => return Err(self.error(part, "this is no part of a formula", ALLOWED)),
        };
        if !constant.is_finite() {
            return Err(self.hazard(part, Hazard::Infinite));
        }
        self.push(part, Step::Constant(constant))?;
        Ok(FormulaPart::Number(Bounds::exactly(constant)))
    }

    fn quantity(&mut self, at: &IdedExpr, name: &str) -> Result<u8, FormulaError> {
        let known = self.quantities.iter().position(|quantity| quantity.name == name);
        let Some(position) = known else {
            let all = self.quantities.iter().map(|quantity| quantity.name);
            let hint = closest(name, all).map(|meant| format!("did you mean `{meant}`? "));
            let expected =
                format!("{}names here: {}", hint.unwrap_or_default(), names(self.quantities));
            return Err(self.error(at, format!("unknown name `{name}`"), &expected));
        };
        self.named |= 1 << position;
        Ok(position as u8)
    }

    fn number(&mut self, part: &IdedExpr) -> Result<Bounds, FormulaError> {
        match self.part(part)? {
            FormulaPart::Number(bounds) => Ok(bounds),
            FormulaPart::Truth => {
                Err(self.error(part, "this is a condition", "expected a number here"))
            }
        }
    }

    fn truth(&mut self, part: &IdedExpr) -> Result<(), FormulaError> {
        match self.part(part)? {
            FormulaPart::Truth => Ok(()),
            FormulaPart::Number(_) => {
                Err(self.error(part, "this is a number", "expected a condition, as in `cpu > 50`"))
            }
        }
    }

    fn call(&mut self, part: &IdedExpr, call: &CallExpr) -> Result<FormulaPart, FormulaError> {
        match (&*call.func_name, &*call.args) {
            (operators::CONDITIONAL, [condition, one, other]) => {
                self.truth(condition)?;
                let bounds = self.number(one)?.or(self.number(other)?);
                self.push(part, Step::Select)?;
                Ok(FormulaPart::Number(bounds))
            }
            (operators::LOGICAL_AND, [x, y]) => self.logic(part, Binary::And, [x, y]),
            (operators::LOGICAL_OR, [x, y]) => self.logic(part, Binary::Or, [x, y]),
            (operators::LOGICAL_NOT, [x]) => {
                self.truth(x)?;
                self.push(part, Step::Unary(Unary::Not))?;
                Ok(FormulaPart::Truth)
            }
            (operators::LESS, [x, y]) => self.compare(part, Binary::Less, [x, y]),
            (operators::GREATER, [x, y]) => self.compare(part, Binary::Less, [y, x]),
            (operators::LESS_EQUALS, [x, y]) => self.compare(part, Binary::AtMost, [x, y]),
            (operators::GREATER_EQUALS, [x, y]) => self.compare(part, Binary::AtMost, [y, x]),
            (operators::EQUALS, [x, y]) => self.compare(part, Binary::Equal, [x, y]),
            (operators::NOT_EQUALS, [x, y]) => {
                self.compare(part, Binary::Equal, [x, y])?;
                self.push(part, Step::Unary(Unary::Not))?;
                Ok(FormulaPart::Truth)
            }
            (operators::ADD, [x, y]) => self.binary(part, Binary::Add, x, y),
            (operators::SUBSTRACT, [x, y]) => self.binary(part, Binary::Subtract, x, y),
            (operators::MULTIPLY, [x, y]) => self.binary(part, Binary::Multiply, x, y),
            (operators::DIVIDE, [x, y]) => self.binary(part, Binary::Divide, x, y),
            (operators::NEGATE, [x]) => self.unary(part, Unary::Negate, x),
            ("abs", [x]) => self.unary(part, Unary::Abs, x),
            ("sqrt", [x]) => self.unary(part, Unary::Sqrt, x),
            ("exp", [x]) => self.unary(part, Unary::Exp, x),
            ("ln", [x]) => self.unary(part, Unary::Ln, x),
            ("min", [first, rest @ ..]) => self.extreme(part, Binary::Min, first, rest),
            ("max", [first, rest @ ..]) => self.extreme(part, Binary::Max, first, rest),
            ("known", [x]) => self.known(part, x),
            (name, _) if name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let problem = format!("no function `{name}` with {} arguments", call.args.len());
                Err(self.error(part, problem, ALLOWED))
            }
            _ => Err(self.error(part, "this operator is no part of a formula", ALLOWED)),
        }
    }

    fn known(&mut self, part: &IdedExpr, argument: &IdedExpr) -> Result<FormulaPart, FormulaError> {
        let Expr::Ident(name) = &argument.expr else {
            return Err(self.error(argument, "this is no name", "expected a name in `known`"));
        };
        let at = self.quantity(argument, name)?;
        self.push(part, Step::Known(at))?;
        Ok(FormulaPart::Truth)
    }

    fn logic(
        &mut self,
        part: &IdedExpr,
        operation: Binary,
        [x, y]: [&IdedExpr; 2],
    ) -> Result<FormulaPart, FormulaError> {
        self.truth(x)?;
        self.truth(y)?;
        self.condition(part, operation)
    }

    fn compare(
        &mut self,
        part: &IdedExpr,
        operation: Binary,
        [x, y]: [&IdedExpr; 2],
    ) -> Result<FormulaPart, FormulaError> {
        self.number(x)?;
        self.number(y)?;
        self.condition(part, operation)
    }

    /// The last two values become a condition.
    fn condition(&mut self, part: &IdedExpr, made: Binary) -> Result<FormulaPart, FormulaError> {
        self.push(part, Step::Binary(made))?;
        Ok(FormulaPart::Truth)
    }

    fn unary(
        &mut self,
        part: &IdedExpr,
        operation: Unary,
        argument: &IdedExpr,
    ) -> Result<FormulaPart, FormulaError> {
        let bounds = self.number(argument)?.unary(operation);
        self.push(part, Step::Unary(operation))?;
        bounds.map(FormulaPart::Number).map_err(|hazard| self.hazard(argument, hazard))
    }

    fn binary(
        &mut self,
        part: &IdedExpr,
        operation: Binary,
        x: &IdedExpr,
        y: &IdedExpr,
    ) -> Result<FormulaPart, FormulaError> {
        let (one, other) = (self.number(x)?, self.number(y)?);
        self.push(part, Step::Binary(operation))?;
        one.binary(operation, other).map(FormulaPart::Number).map_err(|hazard| {
            let at = if hazard == Hazard::DivisionByZero { y } else { part };
            self.hazard(at, hazard)
        })
    }

    /// The least or the greatest of several numbers.
    fn extreme(
        &mut self,
        part: &IdedExpr,
        operation: Binary,
        first: &IdedExpr,
        rest: &[IdedExpr],
    ) -> Result<FormulaPart, FormulaError> {
        let mut bounds = self.number(first)?;
        for argument in rest {
            let other = self.number(argument)?;
            self.push(part, Step::Binary(operation))?;
            bounds = bounds.binary(operation, other).map_err(|hazard| self.hazard(part, hazard))?;
        }
        Ok(FormulaPart::Number(bounds))
    }

    fn hazard(&self, at: &IdedExpr, hazard: Hazard) -> FormulaError {
        let (problem, expected) = match hazard {
            Hazard::DivisionByZero => {
                ("it may divide by zero", "expected a divisor that can't be 0, as in `max(cpu, 1)`")
            }
            Hazard::RootOfNegative => {
                ("it may take the root of a number below zero", "expected `sqrt(max(..., 0))`")
            }
            Hazard::LogarithmOfZero => {
                ("it may take the logarithm of zero", "expected `ln(max(..., 1))`")
            }
            Hazard::Infinite => ("it may be infinite", "expected smaller numbers"),
        };
        self.error(at, problem, expected)
    }
}
