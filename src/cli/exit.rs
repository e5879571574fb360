//! How a command ends: an exit code, or a failure that is printed.

use std::process::ExitCode;
use std::time::Duration;

use super::terminal::errln;

/// Exit code of a check whose answer is no. A check that could not be made is a failure (1) instead.
pub(crate) const CHECK_SAID_NO: u8 = 3;

/// Exit code of a command line that is wrong; clap uses the same. Nothing has been sent then.
const WRONG_USAGE: u8 = 2;

/// The end of a command.
pub(crate) type CommandResult = Result<ExitCode, CliFailure>;

/// Why a command failed, in words for people: nothing above a command looks at the kind of an error.
#[derive(Debug)]
pub(crate) struct CliFailure {
    /// Each is printed on a line of its own. A line break inside one is escaped, because part of it may come from NetBox.
    lines: Vec<String>,
    /// The reason for programs, printed in parentheses behind the first line.
    reason: Option<String>,
    exit_code: u8,
    /// The server may have done what it was asked to do, although its answer is missing.
    open: bool,
}

impl CliFailure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { lines: vec![message.into()], reason: None, exit_code: 1, open: false }
    }

    /// A command line that is wrong in a way that only the command itself can see.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit_code: WRONG_USAGE, ..Self::new(message) }.line("For more information, try '--help'.")
    }

    /// The command was not done within `--timeout`.
    pub(crate) fn timed_out(limit: Duration) -> Self {
        let message = format!("not done within {} s (see --timeout)", limit.as_secs_f32());
        Self::new(message).because("DEADLINE_EXCEEDED").open()
    }

    /// A failure whose text has line breaks of our own, such as errors in a settings file.
    pub(crate) fn of_several_lines(message: impl std::fmt::Display) -> Self {
        Self { lines: message.to_string().lines().map(str::to_owned).collect(), ..Self::new("") }
    }

    /// The same failure with its reason for programs.
    #[must_use]
    pub(crate) fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// The same failure with one more line.
    #[must_use]
    pub(crate) fn line(mut self, text: impl Into<String>) -> Self {
        self.lines.push(text.into());
        self
    }

    /// The same failure, of a call whose outcome is open: a write has to be repeated to learn it.
    #[must_use]
    pub(crate) fn open(self) -> Self {
        Self { open: true, ..self }
    }

    /// Whether the server may have done what it was asked to do.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// The first line, which says what failed.
    pub(crate) fn summary(&self) -> &str {
        self.lines.first().map(String::as_str).unwrap_or_default()
    }

    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_code)
    }

    /// Prints it on standard error.
    pub(crate) fn print(&self) {
        match &self.reason {
            None => errln!("error: {}", self.summary()),
            Some(reason) => errln!("error: {} ({reason})", self.summary()),
        }
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
