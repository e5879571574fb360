//! The format of an answer: a table for people, JSON for programs, or one name a line for shells.

use clap::{Args, ValueEnum};
use prost::Message;

use super::exit::CliFailure;
use super::json;
use super::terminal::{TextTable, errln, outln};

/// The options of every command that prints an answer.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputArgs {
    /// Table for people, JSON for programs (as grpcurl prints it), or one name a line
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,
    /// Print tables without the line of column titles
    #[arg(long)]
    no_headers: bool,
}

/// The format of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    #[default]
    Table,
    Json,
    Name,
}

impl OutputArgs {
    /// Prints an answer about one thing. `message` is the name of its type in the API.
    pub(crate) fn print<M: Message>(
        self,
        message: &str,
        answer: &M,
        names: impl IntoIterator<Item = String>,
        table: impl FnOnce(Self),
    ) -> Result<(), CliFailure> {
        self.print_value(|| json::to_json(message, answer), names, table)
    }

    /// Prints an answer that the command has made of several messages.
    pub(crate) fn print_value(
        self,
        value: impl FnOnce() -> Result<serde_json::Value, CliFailure>,
        names: impl IntoIterator<Item = String>,
        table: impl FnOnce(Self),
    ) -> Result<(), CliFailure> {
        match self.output {
            OutputFormat::Json => json::print(&value()?)?,
            OutputFormat::Name => names.into_iter().for_each(|name| outln!("{name}")),
            OutputFormat::Table => table(self),
        }
        Ok(())
    }

    /// Prints a list. Of an empty one nothing is printed but a note on standard error, and the JSON.
    pub(crate) fn print_list<M: Message, R>(
        self,
        message: &str,
        answer: &M,
        (rows, none): (&[R], &str),
        name: impl Fn(&R) -> String,
        table: impl FnOnce(Self),
    ) -> Result<(), CliFailure> {
        if rows.is_empty() && self.output != OutputFormat::Json {
            errln!("{none}");
            return Ok(());
        }
        self.print(message, answer, rows.iter().map(name), table)
    }

    pub(crate) fn print_table(self, table: &TextTable) {
        table.print(!self.no_headers);
    }

    /// Refuses `-o name` for a command whose answer names nothing, before anything is sent.
    pub(crate) fn refuse_names(self, what_it_answers: &str) -> Result<(), CliFailure> {
        match self.output {
            OutputFormat::Name => {
                let message = format!("-o name does not fit: the answer is {what_it_answers}");
                Err(CliFailure::usage(message))
            }
            OutputFormat::Table | OutputFormat::Json => Ok(()),
        }
    }
}
