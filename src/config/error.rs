//! The problems of a configuration.

use std::collections::BTreeMap;
use std::fmt;

/// One setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// The full key, such as `sync.poll_seconds` or `dnsbl.zones[0].name` (counted from 0).
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
    /// The environment variable that sets the key, if one does.
    pub variable: Option<String>,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variable {
            Some(variable) => write!(f, "{} (from {variable}): {}", self.key, self.message),
            None => write!(f, "{}: {}", self.key, self.message),
        }
    }
}

/// The settings cannot be used. It lists every problem; nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    problems: Vec<SettingProblem>,
}

impl Error {
    /// Every problem, in the order in which they were found.
    pub fn problems(&self) -> &[SettingProblem] {
        &self.problems
    }
}

impl fmt::Display for Error {
    /// One problem is one line; several are a heading and one line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = self.problems.as_slice() {
            return write!(f, "{problem}");
        }
        write!(f, "{} settings cannot be used:", self.problems.len())?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// Collects problems while settings are read and checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Problems {
    found: Vec<SettingProblem>,
    /// The environment variable of each key that one sets.
    variables: BTreeMap<String, String>,
}

impl Problems {
    /// Records that an environment variable sets a key.
    pub(super) fn set_variable(&mut self, key: String, variable: String) {
        self.variables.insert(key, variable);
    }

    /// The environment variable that sets a key.
    pub(super) fn variable(&self, key: &str) -> Option<&str> {
        self.variables.get(key).map(String::as_str)
    }

    /// Adds a problem. A key has at most one: a later check of a value that could not be decoded would only confuse.
    pub(super) fn add(&mut self, key: impl Into<String>, message: impl fmt::Display) {
        let key = key.into();
        if self.found.iter().all(|problem| problem.key != key) {
            let variable = self.variables.get(&key).cloned();
            self.found.push(SettingProblem { key, message: message.to_string(), variable });
        }
    }

    /// Returns the value if there is one and no problem was found.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Error> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => Err(Error { problems: self.found }),
        }
    }
}
