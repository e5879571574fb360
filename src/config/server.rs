//! `[server]`, `[storage]`, `[ledger]`, `[sync]` and `[log]`: how the server runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::error::Problems;
use super::secret::{self, SecretText};
use super::settings::LogFormat;
use super::values::{YEAR_SECONDS, fractional_seconds, in_range, seconds};
use crate::ledger::LedgerSettings;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServerSection {
    pub(super) grpc_listen: SocketAddr,
    pub(super) http_listen: SocketAddr,
    pub(super) allow_remote: bool,
    drain_seconds: u64,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            grpc_listen: SocketAddr::from(([127, 0, 0, 1], 50051)),
            http_listen: SocketAddr::from(([127, 0, 0, 1], 50080)),
            allow_remote: false,
            drain_seconds: 15,
        }
    }
}

impl ServerSection {
    /// Checks the section, and returns the drain time.
    pub(super) fn check(&self, problems: &mut Problems) -> Duration {
        let listeners = [("server.grpc_listen", self.grpc_listen), ("server.http_listen", self.http_listen)];
        for (key, listen) in listeners {
            if !listen.ip().is_loopback() && !self.allow_remote {
                problems.add(
                    key,
                    format!(
                        "{listen} is not a loopback address, and callers are not authenticated: anyone who can reach it \
                         can allocate. Put an authenticating proxy in front of it and set server.allow_remote = true"
                    ),
                );
            }
        }
        // 0 is allowed: a stop does not wait.
        seconds("server.drain_seconds", self.drain_seconds, 0..=3600, problems)
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StorageSection {
    pub(super) directory: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LedgerSection {
    postgres_url: SecretText,
    postgres_url_file: Option<PathBuf>,
    keep_intents_days: u64,
}

impl Default for LedgerSection {
    fn default() -> Self {
        Self { postgres_url: SecretText::default(), postgres_url_file: None, keep_intents_days: 400 }
    }
}

impl LedgerSection {
    /// How long a settled intent answers retries.
    pub(super) fn keep_intents(&self, problems: &mut Problems) -> Duration {
        let days = in_range("ledger.keep_intents_days", self.keep_intents_days, 1..=36_500, problems);
        Duration::from_hours(days.saturating_mul(24))
    }

    /// The ledger is a file in `directory`, unless PostgreSQL is configured.
    pub(super) fn check(&self, directory: &Path, problems: &mut Problems) -> Option<LedgerSettings> {
        let file = self.postgres_url_file.as_deref();
        let url = secret::optional("ledger.postgres_url", &self.postgres_url, file, problems).ok()?;
        Some(match url {
            Some(url) => LedgerSettings::Postgres(url),
            None => LedgerSettings::Sqlite(directory.join("ledger.db")),
        })
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SyncSection {
    poll_seconds: f64,
    full_pass_seconds: u64,
}

impl Default for SyncSection {
    fn default() -> Self {
        Self { poll_seconds: 2.0, full_pass_seconds: 3600 }
    }
}

impl SyncSection {
    /// Checks the section, and returns the intervals of polls and of full passes.
    pub(super) fn check(&self, problems: &mut Problems) -> (Duration, Duration) {
        let poll = fractional_seconds("sync.poll_seconds", self.poll_seconds, 0.05..=3600.0, problems);
        let full_pass =
            seconds("sync.full_pass_seconds", self.full_pass_seconds, 10..=YEAR_SECONDS, problems);
        (poll, full_pass)
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogSection {
    pub(super) level: String,
    pub(super) format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

impl LogSection {
    pub(super) fn check(&self, problems: &mut Problems) {
        if EnvFilter::try_new(&self.level).is_err() {
            problems.add(
                "log.level",
                format!("{:?} is not a level or a filter such as leasehold=debug", self.level),
            );
        }
    }
}
