//! The command line: one file for each subcommand.
//!
//! `serve`, `demo`, `setup`, `emulate-netbox`, `config`, `completions` and `man` do their work in this process; every other
//! command is a gRPC client of a running server.
//!
//! One contract holds for all client commands. `output` prints each answer as a table, as JSON or as names; `connect` makes a
//! refusal of the server a failure of the command (`exit`); `run` bounds each command by `--timeout`, and gives each write a
//! request id that is printed before the request is sent. docs/cli.md describes the contract.
//! Exit codes: 0 done, 1 failed or not there, 2 wrong usage, 3 a check said no.
//!
//! `options` holds the flags that several commands share, each command's file holds its own, and `command` joins them.
//! `references` reads how VRFs and tenants are named, `pages` reads lists, and `records` and `values` render what is shown.
//! Everything that is printed passes through `terminal`, which escapes control characters: texts in NetBox are written by
//! many people and must not reach a terminal as they are.

mod admin;
mod allocate;
mod allocations;
mod assign;
mod command;
mod completions;
mod config;
mod connect;
mod custom_field;
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
mod output;
mod pages;
mod prefix;
mod prefix_arg;
mod preflight;
mod progress;
mod records;
mod references;
mod release;
mod reputation;
mod retry;
mod run;
mod serve;
mod setup;
mod status;
mod stop_signal;
mod terminal;
mod utilization;
mod validate;
mod values;
mod vrf;
mod watch;
mod watch_output;
mod watch_position;
mod watch_stream;

pub use run::run;
