//! What is wrong with a configuration, and where.
use std::fmt;

/// One problem of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1; 0 where the problem has no place.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// Of a value that is not the file's, how it came: `--set KEY=VALUE`.
    pub setting: Option<String>,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl Problem {
    pub(super) fn without_place(message: String) -> Self {
        Problem { line: 0, column: 0, setting: None, message }
    }

    /// Where it is, and what: for messages about this file.
    pub fn in_file(&self, file: &str) -> String {
        match (&self.setting, self.line) {
            (Some(setting), _) => format!("{setting}: {}", self.message),
            (None, 0) => format!("{file}: {}", self.message),
            (None, line) => format!("{file}:{line}:{}: {}", self.column, self.message),
        }
    }
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
        ConfigError { file: name.into(), problems: vec![Problem::without_place(message)] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            f.write_str(&problem.in_file(&self.file))?;
        }
        Ok(())
    }
}
