//! How `leasehold watch` prints: each message is one line, in every format.

use clap::Args;

use super::event_table::{describe, event_name, event_type};
use super::output::OutputFormat;
use super::terminal::{EMPTY_CELL, outln, print_json};
use super::values;
use super::watch_stream::{WatchMessage, WatchedItem};
use crate::rpc::proto::v1;

/// The options of a command that prints a stream.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WatchOutputArgs {
    /// One JSON object a line, a line of a table, or one name a line
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Json, value_name = "FORMAT")]
    output: OutputFormat,
    /// Print the table without the line of column titles
    #[arg(long)]
    no_headers: bool,
}

impl WatchOutputArgs {
    /// Prints the titles of the table, before its first line is there.
    pub(crate) fn print_headers(self) {
        if self.output == OutputFormat::Table && !self.no_headers {
            print_columns("SEQUENCE", "TIME", "TYPE", "SUBJECT");
        }
    }

    /// Prints a message. What only carries a position is left out; only JSON shows where the snapshot ends.
    pub(crate) fn print(self, message: &WatchMessage) {
        match (self.output, &message.item) {
            (_, WatchedItem::Bookmark) | (OutputFormat::Table | OutputFormat::Name, WatchedItem::Synced) => {}
            (OutputFormat::Json, _) => print_json(&message.json.to_string()),
            (OutputFormat::Name, WatchedItem::Lease(lease)) => outln!("{}", lease.prefix),
            (OutputFormat::Name, WatchedItem::Event(event)) => outln!("{}", event_name(event)),
            (OutputFormat::Table, WatchedItem::Lease(lease)) => {
                print_columns("", "", "lease", &subject(lease));
            }
            (OutputFormat::Table, WatchedItem::Event(event)) => print_columns(
                &values::id(event.sequence),
                &values::instant(event.event_time.as_ref()),
                &event_type(event),
                &describe(event),
            ),
        }
    }
}

/// Prints a line whose columns are as wide as most values: the lines that follow are not known yet.
fn print_columns(sequence: &str, time: &str, kind: &str, subject: &str) {
    let cell = |text: &str| if text.is_empty() { EMPTY_CELL.to_owned() } else { text.to_owned() };
    outln!("{:10}   {:20}   {:18}   {}", cell(sequence), cell(time), cell(kind), cell(subject));
}

/// A lease of the snapshot in one line.
fn subject(lease: &v1::Lease) -> String {
    let until = values::date(lease.expiry_date.as_ref());
    format!("{} ({}) until {until}, {}", lease.prefix, lease.owner, values::days_left(lease))
}
