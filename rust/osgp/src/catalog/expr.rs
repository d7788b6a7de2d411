//! The expression language of the catalogue; `python/osgp_fast/catalog/_expr.py` describes it.

use std::fmt;

/// A name as written: a field of a table, an index, or a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr<R> {
    /// A constant.
    Num(i64),
    /// A name or a reference, and the indices of a reference.
    Name(R, Vec<Expr<R>>),
    /// An operation.
    Op(Op, Box<(Expr<R>, Expr<R>)>),
}

/// The operations, and the comparisons that give 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `//`, towards minus infinity; by zero it is 0
    Div,
    /// `%`, never negative for a positive divisor; by zero it is 0
    Rem,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `??`: the left side where it can be told, else the right one
    Else,
}

impl Op {
    const ALL: [(&'static str, Op, u8); 12] = [
        ("//", Op::Div, 4),
        ("==", Op::Eq, 2),
        ("!=", Op::Ne, 2),
        ("<=", Op::Le, 2),
        (">=", Op::Ge, 2),
        ("<", Op::Lt, 2),
        (">", Op::Gt, 2),
        ("+", Op::Add, 3),
        ("-", Op::Sub, 3),
        ("*", Op::Mul, 4),
        ("%", Op::Rem, 4),
        ("??", Op::Else, 1),
    ];

    /// The result on two numbers. Dimensions are far from the limits of `i64`; a row that is not saturates.
    pub fn apply(self, a: i64, b: i64) -> i64 {
        match self {
            Op::Add => a.saturating_add(b),
            Op::Sub => a.saturating_sub(b),
            Op::Mul => a.saturating_mul(b),
            Op::Div if b == 0 => 0,
            Op::Div => {
                a.checked_div_euclid(b).map_or(i64::MAX, |q| if b < 0 && a.rem_euclid(b) != 0 { q - 1 } else { q })
            }
            Op::Rem if b == 0 => 0,
            Op::Rem => a.checked_rem_euclid(b).map_or(0, |r| if b < 0 && r != 0 { r + b } else { r }),
            Op::Eq => i64::from(a == b),
            Op::Ne => i64::from(a != b),
            Op::Lt => i64::from(a < b),
            Op::Le => i64::from(a <= b),
            Op::Gt => i64::from(a > b),
            Op::Ge => i64::from(a >= b),
            Op::Else => a,
        }
    }
}

/// A row of the catalogue holds an expression that is not of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError(pub String);

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ExprError {}

// Catalogue expressions are short; a limit keeps a wrong row from becoming a stack overflow.
const MAX_DEPTH: u32 = 32;

struct Parser<'t> {
    text: &'t str,
    rest: &'t str,
}

/// Parse an expression; names stay as written (`BT61.9`, `n`, `size`).
pub fn parse(text: &str) -> Result<Expr<String>, ExprError> {
    let mut parser = Parser { text, rest: text.trim() };
    let tree = parser.expr(0, 0)?;
    if parser.rest.is_empty() { Ok(tree) } else { Err(parser.error("left over")) }
}

impl Parser<'_> {
    fn error(&self, what: &str) -> ExprError {
        ExprError(format!("{:?}: {what} at {:?}", self.text, self.rest))
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expr(&mut self, floor: u8, depth: u32) -> Result<Expr<String>, ExprError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        let mut left = self.atom(depth)?;
        while let Some((token, op, strength)) = Op::ALL.into_iter().find(|(token, ..)| self.rest.starts_with(token)) {
            if strength <= floor {
                break;
            }
            self.eat(token);
            left = Expr::Op(op, Box::new((left, self.expr(strength, depth + 1)?)));
        }
        Ok(left)
    }

    fn atom(&mut self, depth: u32) -> Result<Expr<String>, ExprError> {
        if self.eat("(") {
            let inner = self.expr(0, depth + 1)?;
            return if self.eat(")") { Ok(inner) } else { Err(self.error("`)` is missing")) };
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let end = self.rest.find(|c| !word(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return Err(self.error("a name or a number is missing"));
        }
        self.rest = rest.trim_start();
        if name.bytes().all(|b| b.is_ascii_digit()) {
            return name.parse().map(Expr::Num).map_err(|_| self.error("number too large"));
        }
        let mut index = Vec::new();
        while self.eat("[") {
            index.push(self.expr(0, depth + 1)?);
            if !self.eat("]") {
                return Err(self.error("`]` is missing"));
            }
        }
        Ok(Expr::Name(name.to_owned(), index))
    }
}

impl<R> Expr<R> {
    /// Replace every name.
    pub fn map<S, E>(self, f: &mut impl FnMut(R) -> Result<S, E>) -> Result<Expr<S>, E> {
        Ok(match self {
            Expr::Num(n) => Expr::Num(n),
            Expr::Name(name, index) => {
                Expr::Name(f(name)?, index.into_iter().map(|i| i.map(f)).collect::<Result<_, E>>()?)
            }
            Expr::Op(op, sides) => {
                let (a, b) = *sides;
                Expr::Op(op, Box::new((a.map(f)?, b.map(f)?)))
            }
        })
    }

    /// The value, given that of every name with its indices (at most four).
    pub fn eval<E>(&self, f: &mut impl FnMut(&R, &[i64]) -> Result<i64, E>) -> Result<i64, E> {
        match self {
            Expr::Num(n) => Ok(*n),
            Expr::Name(name, index) => {
                let mut values = [0; 4];
                for (value, i) in values.iter_mut().zip(index) {
                    *value = i.eval(f)?;
                }
                f(name, &values[..index.len().min(4)])
            }
            Expr::Op(Op::Else, sides) => sides.0.eval(f).or_else(|_| sides.1.eval(f)),
            Expr::Op(op, sides) => {
                let a = sides.0.eval(f)?;
                Ok(op.apply(a, sides.1.eval(f)?))
            }
        }
    }

    /// Whether any name satisfies `f`.
    pub fn any(&self, f: &mut impl FnMut(&R) -> bool) -> bool {
        match self {
            Expr::Num(_) => false,
            Expr::Name(name, index) => f(name) || index.iter().any(|i| i.any(f)),
            Expr::Op(_, sides) => sides.0.any(f) || sides.1.any(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> i64 {
        parse(text)
            .unwrap()
            .eval(&mut |name, index| {
                Ok::<_, ()>(match name.as_str() {
                    "ET11.34" => return Err(()),
                    "BT61.9" => 100 + index[0],
                    "n" => 2,
                    _ => 7,
                })
            })
            .unwrap()
    }

    #[test]
    fn values() {
        for (text, want) in [
            ("1 + 2 * 3", 7),
            ("(1 + 2) * 3", 9),
            ("7 - 2 - 1", 4),
            ("BT61.9[n] * 2", 204),
            ("(size - 8) // 6", -1),
            ("(size - 8) % 6", 5),
            ("1 // 0 + 1 % 0", 0),
            ("7 // (0 - 2)", -4),
            ("7 % (0 - 2)", -1),
            ("size == 7", 1),
            ("size >= 8", 0),
            ("ET11.34 ?? 3 + 1", 4),
            ("BT61.9[n] ?? 3 + 1", 102),
        ] {
            assert_eq!(value(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_not_of_the_language() {
        for text in ["", "1 +", "(1", "a[1", "1 2", "a ** 2", "f(x)", "é", &"(".repeat(100), "99999999999999999999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
