//! The settings after every check, in the types of the rooms that use them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::allocation::{Policy, PoolSettings};
use crate::dnsbl::DnsblSettings;
use crate::expiry::Schedule;
use crate::irr::IrrSettings;
use crate::ledger::LedgerSettings;
use crate::netbox::NetBoxSettings;
use crate::notify::NotifySettings;
use crate::ripestat::RipeStatSettings;
use crate::rpki::RpkiSettings;
use crate::validation::ValidationSettings;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object on each line.
    Json,
}

/// Everything that the server needs to start.
#[derive(Clone, Debug)]
pub struct Settings {
    pub netbox: NetBoxSettings,
    pub grpc_listen: SocketAddr,
    pub http_listen: SocketAddr,
    /// How long a stop waits for open calls and writes.
    pub drain: Duration,
    /// The file of the cache; `None` keeps it in memory only.
    pub cache_file: Option<PathBuf>,
    pub ledger: LedgerSettings,
    /// How long a settled intent is kept. After that NetBox's records answer a retry.
    pub keep_intents: Duration,
    /// The interval between two polls of NetBox's change log.
    pub poll: Duration,
    /// The interval between two full passes over NetBox.
    pub full_pass: Duration,
    /// Leases begin and end at midnight in this zone.
    pub time_zone: TimeZone,
    pub events: EventSettings,
    pub expiry: Schedule,
    pub notify: NotifySettings,
    pub checks: CheckSettings,
    pub allocation: Policy,
    pub pools: PoolSettings,
    /// The token that the calendar requires; `None` turns the calendar off.
    pub calendar_token: Option<SecretString>,
    /// A filter of the tracing-subscriber crate, such as `info` or `leasehold=debug`.
    pub log_level: String,
    pub log_format: LogFormat,
}

/// How the event log is streamed and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSettings {
    /// After this time without an event, a stream sends a bookmark with a new resume token.
    pub bookmark_interval: Duration,
    /// Events older than this are deleted.
    pub retention: Duration,
    /// The oldest events above this number are deleted.
    pub max_events: u64,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self {
            bookmark_interval: Duration::from_secs(30),
            retention: Duration::from_hours(400 * 24),
            max_events: 5_000_000,
        }
    }
}

/// Which sources are asked about a block, and what follows from their answers.
#[derive(Clone, Debug, Default)]
pub struct CheckSettings {
    pub rpki: RpkiSettings,
    pub irr: IrrSettings,
    pub dnsbl: DnsblSettings,
    /// `None` if neither origin validation nor the BGP check asks RIPEstat.
    pub ripestat: Option<RipeStatSettings>,
    /// Whether RIPEstat is asked which AS announces a block.
    pub bgp: bool,
    pub validation: ValidationSettings,
}
