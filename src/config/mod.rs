//! Settings: a TOML file, overridden by environment variables (`LEASEHOLD_SECTION__KEY`), overridden by command-line flags.
//!
//! [`RawSettings::read`] merges file and environment ([`load`]), renames old keys ([`renamed`]) and decodes the result into
//! one struct for each section ([`decode`]). [`RawSettings::check`] turns the sections into [`Settings`], which hold the
//! settings types of the rooms that use them. The module of a section holds its keys as they are written, their defaults, their
//! ranges and the conversion.
//!
//! # Errors
//!
//! A value that cannot be used is an error and is never adjusted: an unknown key, a wrong type, a number out of range, a secret
//! file that cannot be read. No step stops at the first problem. Each adds to one list, and [`Error`] carries them all, so that
//! an operator can correct a configuration in one go.
//!
//! # Secrets
//!
//! A secret is written in the settings, or in a file whose path is (`netbox.token` or `netbox.token_file`). It is never printed.
//!
//! # Environment
//!
//! This room is the only one that reads environment variables, and only through [`Environment`], so that a test can supply its
//! own. (Variables that stand for a command-line flag, such as LEASEHOLD_SERVER, are read by clap.)

mod allocation;
mod decode;
mod dnsbl;
mod entries;
mod environment;
mod error;
mod irr;
mod lease;
mod load;
mod netbox;
mod notify;
mod pools;
mod raw;
mod renamed;
mod ripestat;
mod rpki;
mod secret;
mod sections;
mod server;
mod settings;
mod sinks;
#[cfg(test)]
mod tests;
mod validation;
mod values;

pub use environment::{Environment, ProcessEnvironment};
pub use error::{Error, SettingProblem};
pub use raw::{Flags, RawSettings};
pub use settings::{CheckSettings, EventSettings, LogFormat, Settings};
