//! The command line: one file for each subcommand.
//!
//! `serve`, `demo`, `setup`, `emulate-netbox`, `config`, `completions` and `man` do their work in this process; every other
//! command is a gRPC client of a running server. Each client command prints tables for people or, with `--output json`, the JSON that grpcurl prints.
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a check said no.
//!
//! `options` holds the flags that several commands share, each command's file holds its own, and `command` joins them.
//! Everything that is printed passes through `terminal`, which escapes control characters: texts in NetBox are written by
//! many people and must not reach a terminal as they are.

mod allocate;
mod allocations;
mod command;
mod completions;
mod config;
mod connect;
mod demo;
mod emulate;
mod event_filter;
mod event_table;
mod events;
mod exit;
mod expiring;
mod history;
mod irr;
mod json;
mod lease;
mod lookup;
mod notify;
mod options;
mod preflight;
mod progress;
mod records;
mod references;
mod release;
mod reputation;
mod run;
mod serve;
mod setup;
mod status;
mod stop_signal;
mod terminal;
mod validate;
mod values;
mod watch;
mod watch_position;
mod watch_stream;

pub use run::run;
