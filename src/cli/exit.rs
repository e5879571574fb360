//! How a command ends: an exit code, or a failure that is printed.

use std::process::ExitCode;

use super::terminal::errln;

/// Exit code of a check whose answer is no. A check that could not be made is a failure (1) instead.
pub(crate) const CHECK_SAID_NO: u8 = 3;

/// The end of a command.
pub(crate) type CommandResult = Result<ExitCode, CliFailure>;

/// Why a command failed, in words for people: nothing above a command looks at the kind of an error.
#[derive(Debug)]
pub(crate) struct CliFailure {
    /// Each is printed on a line of its own. A line break inside one is escaped, because part of it may come from NetBox.
    lines: Vec<String>,
}

impl CliFailure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { lines: vec![message.into()] }
    }

    /// A failure whose text has line breaks of our own, such as errors in a settings file.
    pub(crate) fn of_several_lines(message: impl std::fmt::Display) -> Self {
        Self { lines: message.to_string().lines().map(str::to_owned).collect() }
    }

    /// The same failure with one more line.
    #[must_use]
    pub(crate) fn line(mut self, text: impl Into<String>) -> Self {
        self.lines.push(text.into());
        self
    }

    /// The first line, which says what failed.
    pub(crate) fn summary(&self) -> &str {
        self.lines.first().map(String::as_str).unwrap_or_default()
    }

    /// Prints it on standard error.
    pub(crate) fn print(&self) {
        errln!("error: {}", self.summary());
        for line in self.lines.iter().skip(1) {
            errln!("{line}");
        }
    }
}

impl<E: std::error::Error> From<E> for CliFailure {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}
