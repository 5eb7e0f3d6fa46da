//! What is wrong with a configuration, and where.
use std::fmt;

/// One problem of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1; 0 where the problem has no place.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// A configuration that cannot be used: every problem found, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file, as the user named it.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// The file cannot be read, and no example is called so.
    pub(super) fn unreadable(file: &str, error: &std::io::Error, examples: &str) -> Self {
        let message = format!("cannot read the configuration: {error}; give a TOML file or an example: {examples}");
        ConfigError::of_name(file, message)
    }

    /// Something is wrong with the name, rather than in the file.
    pub(super) fn of_name(name: &str, message: String) -> Self {
        ConfigError { file: name.into(), problems: vec![Problem { line: 0, column: 0, message }] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match problem.line {
                0 => write!(f, "{}: {}", self.file, problem.message)?,
                line => write!(f, "{}:{line}:{}: {}", self.file, problem.column, problem.message)?,
            }
        }
        Ok(())
    }
}
