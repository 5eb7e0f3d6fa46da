//! Signal paths as `#[hdl_gen]` writes them: `.queues[i + 1].count$next`.
use super::error::{PrintError, Result};

/// Values of the loop variables, innermost last.
#[derive(Default)]
pub(super) struct Loops(pub Vec<(String, usize)>);

impl Loops {
    /// The value of a loop variable.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.0.iter().rev().find(|(variable, _)| variable == name).map(|(_, value)| *value)
    }

    /// The canonical path: `$` between the parts, array indices as numbers.
    pub fn resolve(&self, raw: &str, block: &str) -> Result<String> {
        let raw = raw.trim_end_matches("$next").trim_start_matches(['.', '$']);
        let mut path = raw.replace("::", "$").replace('.', "$");
        while let Some(open) = path.find('[') {
            let Some(close) = path[open..].find(']').map(|length| open + length) else { break };
            let index = self.evaluate(&path[open + 1..close]).map_err(|reason| PrintError {
                path: block.into(),
                reason: format!("index of `{}`: {reason}", raw.replace('$', ".")),
            })?;
            path = format!("{}${index}{}", &path[..open], &path[close + 1..]);
        }
        Ok(path)
    }

    fn evaluate(&self, text: &str) -> std::result::Result<usize, String> {
        let letters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut parser = IndexParser { letters: &letters, at: 0, loops: self };
        let value = parser.sum()?;
        if parser.at == letters.len() {
            Ok(value)
        } else {
            Err(format!("`{text}` is not made of loop variables and numbers"))
        }
    }
}

struct IndexParser<'a> {
    letters: &'a [char],
    at: usize,
    loops: &'a Loops,
}

impl IndexParser<'_> {
    fn eat(&mut self, choices: [char; 2]) -> Option<char> {
        let found = self.letters.get(self.at).copied().filter(|c| choices.contains(c))?;
        self.at += 1;
        Some(found)
    }

    fn sum(&mut self) -> std::result::Result<usize, String> {
        let mut value = self.product()?;
        while let Some(operator) = self.eat(['+', '-']) {
            let right = self.product()?;
            let result = if operator == '+' { value.checked_add(right) } else { value.checked_sub(right) };
            value = result.ok_or("the index is negative or too large")?;
        }
        Ok(value)
    }

    fn product(&mut self) -> std::result::Result<usize, String> {
        let mut value = self.term()?;
        while let Some(operator) = self.eat(['*', '/']) {
            let right = self.term()?;
            let result = if operator == '*' { value.checked_mul(right) } else { value.checked_div(right) };
            value = result.ok_or("the index cannot be computed")?;
        }
        Ok(value)
    }

    fn term(&mut self) -> std::result::Result<usize, String> {
        if self.eat(['(', '(']).is_some() {
            let value = self.sum()?;
            return self.eat([')', ')']).map(|_| value).ok_or_else(|| "a `)` is missing".into());
        }
        let start = self.at;
        while self.letters.get(self.at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
            self.at += 1;
        }
        let word: String = self.letters[start..self.at].iter().collect();
        let number = word.trim_end_matches("usize").replace('_', "");
        self.loops.get(&word).or_else(|| number.parse().ok()).ok_or_else(|| {
            format!("`{word}` is neither a loop variable nor a number; a multiplexer is a loop with `if`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_resolve() {
        let loops = Loops(vec![("i".into(), 2), ("j".into(), 3)]);
        let resolve = |raw: &str| loops.resolve(raw, "top").map_err(|error| error.reason);
        assert_eq!(resolve(".queues[i].count$next").as_deref(), Ok("queues$2$count"));
        assert_eq!(resolve("grid[2 * (i + 1)][j - 1]").as_deref(), Ok("grid$6$2"));
        assert_eq!(resolve("Op::Read").as_deref(), Ok("Op$Read"));
        assert!(resolve("bank[k].q").unwrap_err().contains("`k` is neither a loop variable nor a number"));
        assert!(resolve("bank[i - j].q").unwrap_err().contains("negative"));
        assert!(resolve("bank[sel.val()].q").is_err());
    }
}
