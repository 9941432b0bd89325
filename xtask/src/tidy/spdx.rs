//! Licence expressions: does what we allow satisfy what a crate asks?

use anyhow::{Result, bail};

/// Whether an SPDX expression can be satisfied with these licences alone. `A/B` is the old way
/// to write `A OR B`; `A WITH B` is a licence of its own.
///
/// # Errors
/// A text that is no expression.
pub(crate) fn satisfied(expression: &str, allowed: &[String]) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, allowed };
    let satisfied = parser.any()?;
    match parser.words {
        [] => Ok(satisfied),
        [word, ..] => bail!("licence \"{expression}\": unexpected \"{word}\""),
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl Parser<'_> {
    fn any(&mut self) -> Result<bool> {
        let mut satisfied = self.all()?;
        while self.takes("OR") {
            satisfied |= self.all()?;
        }
        Ok(satisfied)
    }

    fn all(&mut self) -> Result<bool> {
        let mut satisfied = self.one()?;
        while self.takes("AND") {
            satisfied &= self.one()?;
        }
        Ok(satisfied)
    }

    fn one(&mut self) -> Result<bool> {
        if self.takes("(") {
            let satisfied = self.any()?;
            return if self.takes(")") { Ok(satisfied) } else { bail!("a licence lacks its \")\"") };
        }
        let [licence, rest @ ..] = self.words else { bail!("a licence ends too early") };
        if ["(", ")", "AND", "OR", "WITH"].contains(licence) {
            bail!("expected a licence, found \"{licence}\"");
        }
        self.words = rest;
        let mut licence = (*licence).to_owned();
        if let ["WITH", exception, rest @ ..] = self.words {
            licence = format!("{licence} WITH {exception}");
            self.words = rest;
        }
        Ok(self.allowed.contains(&licence))
    }

    fn takes(&mut self, word: &str) -> bool {
        match self.words {
            [first, rest @ ..] if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(expression: &str) -> bool {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"];
        satisfied(expression, &allowed.map(str::to_owned)).unwrap()
    }

    #[test]
    fn one_of_several_is_enough_all_of_several_are_needed() {
        assert!(allows("GPL-2.0 OR MIT"));
        assert!(!allows("GPL-2.0 AND MIT"));
        assert!(allows("(MIT OR GPL-2.0) AND Unicode-3.0"));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert!(allows("MIT OR GPL-2.0 AND GPL-3.0"));
        assert!(!allows("(MIT OR GPL-2.0) AND GPL-3.0"));
    }

    #[test]
    fn an_exception_makes_another_licence() {
        assert!(allows("Apache-2.0 WITH LLVM-exception"));
        assert!(!allows("MIT WITH LLVM-exception"));
    }

    #[test]
    fn the_old_slash_means_or() {
        assert!(allows("MIT/Apache-2.0"));
    }

    #[test]
    fn broken_expressions_are_errors() {
        for broken in ["", "MIT OR", "(MIT", "MIT Apache-2.0", ")"] {
            assert!(satisfied(broken, &["MIT".to_owned()]).is_err(), "{broken}");
        }
    }
}
