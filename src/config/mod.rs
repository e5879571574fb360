//! Settings: a TOML file, over it the environment (`LEASEHOLD_SECTION__KEY`), over it the command line.
//!
//! Unknown keys are errors: a misspelt setting that is silently ignored is worse than none. Secrets may come from files
//! (`netbox.token_file`, `ledger.postgres_url_file`) and are never printed. What notifications go to is written in [`notify`], who is
//! asked about a block in [`checks`], what follows in [`policies`].

mod checks;
mod notify;
mod policies;
mod written;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::allocation::Policy;
use crate::expiry::{OwnerSchedule, Schedule, Thresholds};
use crate::ledger::LedgerSettings;
use crate::netbox::{FieldNames, NetBoxSettings};
use crate::notify::NotifySettings;
pub use checks::CheckSettings;
use written::{Hidden, Written, WrittenCalendar, WrittenExpiry};

/// What the settings cannot mean.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or the environment does not parse, or has a key that does not exist.
    #[error("{0}")]
    Source(#[from] config::ConfigError),
    /// A value is missing or makes no sense.
    #[error("{key}: {why}")]
    Value {
        /// Which key.
        key: &'static str,
        /// Why not, and what to do.
        why: String,
    },
    /// A secret's file cannot be read.
    #[error("{key}: {path}: {source}")]
    SecretFile {
        /// Which key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Where the environment is read from: a test gives its own and never touches the process's.
pub trait Environment {
    /// Every variable.
    fn variables(&self) -> Vec<(String, String)>;
}

/// The process's own environment.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variables(&self) -> Vec<(String, String)> {
        // A variable that is not UTF-8 cannot be one of ours.
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Settings that have been checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How to reach NetBox.
    pub netbox: NetBoxSettings,
    /// Where gRPC listens.
    pub grpc_listen: SocketAddr,
    /// Where the HTTP side listens.
    pub http_listen: SocketAddr,
    /// How long a stop waits for calls under way.
    pub drain: Duration,
    /// The cache's file; `None` for memory alone.
    pub cache_file: Option<PathBuf>,
    /// Where the ledger is kept.
    pub ledger: LedgerSettings,
    /// Time between two polls of the change log.
    pub poll: Duration,
    /// Time between two full passes.
    pub full_pass: Duration,
    /// Leases begin and end at midnight of this zone.
    pub time_zone: TimeZone,
    /// How the event log is kept and told.
    pub events: EventSettings,
    /// When leases that run out are told of.
    pub expiry: Schedule,
    /// Where events go.
    pub notify: NotifySettings,
    /// Whom to ask about a block.
    pub checks: CheckSettings,
    /// Which blocks addresses are handed out of.
    pub allocation: Policy,
    /// Who has it may read the calendar; `None` for no calendar.
    pub calendar_token: Option<SecretString>,
    /// Log level or filter.
    pub log_level: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// How the event log is kept and told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSettings {
    /// A watcher that hears nothing for so long gets a bookmark.
    pub bookmarks: Duration,
    /// Events are kept for so long.
    pub keep: Duration,
    /// And no more than so many.
    pub keep_at_most: u64,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self {
            bookmarks: Duration::from_secs(30),
            keep: Duration::from_hours(400 * 24),
            keep_at_most: 5_000_000,
        }
    }
}

/// Settings before they are checked: for `config check`, and to lay the command line over.
#[derive(Clone, Debug)]
pub struct Draft {
    written: Written,
}

/// The file that is read when none is named, if it is there.
const SYSTEM_FILE: &str = "/etc/leasehold/leasehold.toml";

impl Draft {
    /// Reads file and environment.
    pub fn read(file: Option<&Path>, environment: &dyn Environment) -> Result<Self, Error> {
        let mut builder = config::Config::builder();
        let system = Path::new(SYSTEM_FILE);
        if let Some(file) = file.or_else(|| system.exists().then_some(system)) {
            builder =
                builder.add_source(config::File::from(file).format(config::FileFormat::Toml).required(true));
        }
        // Only names with a section are settings: LEASEHOLD_CONFIG, LEASEHOLD_SERVER and the like are not.
        let ours = environment
            .variables()
            .into_iter()
            .filter(|(name, _)| name.strip_prefix("LEASEHOLD_").is_some_and(|rest| rest.contains("__")))
            .collect();
        let source = config::Environment::with_prefix("LEASEHOLD")
            .prefix_separator("_")
            .separator("__")
            .source(Some(ours));
        let written = builder.add_source(source).build()?.try_deserialize()?;
        Ok(Self { written })
    }

    /// Lays flags of the command line over it; `None` leaves a value as it is.
    #[must_use]
    pub fn with_flags(mut self, flags: Flags) -> Self {
        if let Some(url) = flags.netbox_url {
            self.written.netbox.url = url;
        }
        if let Some(file) = flags.netbox_token_file {
            self.written.netbox.token_file = Some(file);
            self.written.netbox.token = Hidden::default();
        }
        if let Some(listen) = flags.grpc_listen {
            self.written.server.grpc_listen = listen;
        }
        if let Some(listen) = flags.http_listen {
            self.written.server.http_listen = listen;
        }
        if let Some(directory) = flags.directory {
            self.written.storage.directory = Some(directory);
        }
        self.written.server.allow_remote |= flags.allow_remote;
        self
    }

    /// The effective settings as TOML, secrets masked.
    pub fn shown(&self) -> String {
        toml::to_string(&self.written).unwrap_or_else(|error| format!("# cannot be shown: {error}"))
    }

    /// How logs look and how much of them: needed before the rest is known to be right.
    pub fn log(&self) -> (&str, LogFormat) {
        (&self.written.log.level, self.written.log.format)
    }

    /// Checks all of it.
    pub fn check(&self) -> Result<Settings, Error> {
        let written = &self.written;
        for (key, listen) in [
            ("server.grpc_listen", written.server.grpc_listen),
            ("server.http_listen", written.server.http_listen),
        ] {
            if !listen.ip().is_loopback() && !written.server.allow_remote {
                let why = format!(
                    "{listen} is not loopback, and callers are not authenticated: anyone who can reach it could allocate. \
                     Put an authenticating proxy before it, or set server.allow_remote = true to say that you mean it"
                );
                return Err(Error::Value { key, why });
            }
        }
        let directory = written.storage.directory.clone().unwrap_or_else(default_directory);
        let ledger = match secret(
            "ledger.postgres_url",
            &written.ledger.postgres_url,
            written.ledger.postgres_url_file.as_deref(),
        )? {
            Some(url) => LedgerSettings::Postgres(url),
            None => LedgerSettings::Sqlite(directory.join("ledger.db")),
        };
        if !(written.sync.poll_seconds >= 0.05 && written.sync.poll_seconds <= 3600.0) {
            return Err(Error::Value {
                key: "sync.poll_seconds",
                why: "is not between 0.05 and 3600".to_owned(),
            });
        }
        let time_zone = TimeZone::get(&written.lease.time_zone).map_err(|_| Error::Value {
            key: "lease.time_zone",
            why: format!(
                "{:?} is no time zone of the IANA database, such as Europe/Berlin",
                written.lease.time_zone
            ),
        })?;
        Ok(Settings {
            netbox: self.netbox()?,
            grpc_listen: written.server.grpc_listen,
            http_listen: written.server.http_listen,
            drain: Duration::from_secs(written.server.drain_seconds),
            cache_file: Some(directory.join("cache.db")),
            ledger,
            poll: Duration::from_secs_f64(written.sync.poll_seconds),
            full_pass: Duration::from_secs(written.sync.full_pass_seconds.max(10)),
            time_zone,
            events: EventSettings {
                bookmarks: Duration::from_secs(written.events.bookmark_seconds.clamp(1, 3600)),
                keep: Duration::from_hours(u64::from(written.events.keep_days.clamp(1, 36_500)) * 24),
                keep_at_most: written.events.keep_at_most.max(1000),
            },
            expiry: expiry(&written.expiry)?,
            notify: notify::check(&written.notify)?,
            checks: checks::check(written.checks())?,
            allocation: policies::allocation(&written.allocation)?,
            calendar_token: calendar_token(&written.calendar)?,
            log_level: written.log.level.clone(),
            log_format: written.log.format,
        })
    }

    /// How to reach NetBox: all that `setup` needs.
    pub fn netbox(&self) -> Result<NetBoxSettings, Error> {
        let written = &self.written.netbox;
        if written.url.is_empty() {
            let why =
                "is required: NetBox's address; set it in the file, or LEASEHOLD_NETBOX__URL".to_owned();
            return Err(Error::Value { key: "netbox.url", why });
        }
        let url = http_url("netbox.url", &written.url)?;
        let token =
            secret("netbox.token", &written.token, written.token_file.as_deref())?.ok_or_else(|| {
                let why =
                    "is required: an API token of NetBox; set netbox.token_file, or LEASEHOLD_NETBOX__TOKEN"
                        .to_owned();
                Error::Value { key: "netbox.token", why }
            })?;
        if written.page_size == 0 {
            return Err(Error::Value { key: "netbox.page_size", why: "is 0".to_owned() });
        }
        let pairs = written.fields.iter().map(|(key, name)| (key.as_str(), name.as_str()));
        let fields = FieldNames::from_pairs(pairs)
            .map_err(|error| Error::Value { key: "netbox.fields", why: error.to_string() })?;
        Ok(NetBoxSettings {
            ca_file: written.ca_file.clone(),
            read_timeout: Duration::from_secs(written.read_timeout_seconds.max(1)),
            write_timeout: Duration::from_secs(written.write_timeout_seconds.max(1)),
            parallel: written.parallel.clamp(1, 64),
            page_size: written.page_size,
            fields,
            ..NetBoxSettings::new(url, token)
        })
    }
}

/// What the command line may lay over the rest.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// netbox.url
    pub netbox_url: Option<String>,
    /// netbox.token_file
    pub netbox_token_file: Option<PathBuf>,
    /// server.grpc_listen
    pub grpc_listen: Option<SocketAddr>,
    /// server.http_listen
    pub http_listen: Option<SocketAddr>,
    /// storage.directory
    pub directory: Option<PathBuf>,
    /// server.allow_remote
    pub allow_remote: bool,
}

fn expiry(written: &WrittenExpiry) -> Result<Schedule, Error> {
    let read = |key: &'static str, days: &[i32]| {
        Thresholds::new(days.to_vec()).map_err(|error| Error::Value { key, why: error.to_string() })
    };
    let mut owners = std::collections::BTreeMap::new();
    for owner in &written.owners {
        let optional = |key, days: &Option<Vec<i32>>| days.as_deref().map(|days| read(key, days)).transpose();
        let own = OwnerSchedule {
            expiry: optional("expiry.owners.thresholds", &owner.thresholds)?,
            notice: optional("expiry.owners.notice_thresholds", &owner.notice_thresholds)?,
        };
        if owners.insert(owner.owner.clone(), own).is_some() {
            let why = format!("{:?} is named twice", owner.owner);
            return Err(Error::Value { key: "expiry.owners", why });
        }
    }
    Ok(Schedule {
        expiry: read("expiry.thresholds", &written.thresholds)?,
        notice: read("expiry.notice_thresholds", &written.notice_thresholds)?,
        owners,
    })
}

fn http_url(key: &'static str, text: &str) -> Result<Url, Error> {
    let url: Option<Url> = text.parse().ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| Error::Value {
        key,
        why: format!("{text:?} is not a URL such as https://host.example"),
    })
}

/// Long enough that nobody finds it by trying.
const CALENDAR_TOKEN: usize = 16;

fn calendar_token(written: &WrittenCalendar) -> Result<Option<SecretString>, Error> {
    let token = secret("calendar.token", &written.token, written.token_file.as_deref())?;
    match token {
        Some(token) if token.expose_secret().len() < CALENDAR_TOKEN => Err(Error::Value {
            key: "calendar.token",
            why: format!("is shorter than {CALENDAR_TOKEN} characters: make one with `openssl rand -hex 24`"),
        }),
        token => Ok(token),
    }
}

fn secret(key: &'static str, value: &Hidden, file: Option<&Path>) -> Result<Option<SecretString>, Error> {
    match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| Error::SecretFile {
                key,
                path: path.to_owned(),
                source,
            })?;
            Ok(Some(SecretString::from(text.trim().to_owned())))
        }
        None if value.0.is_empty() => Ok(None),
        None => Ok(Some(SecretString::from(value.0.clone()))),
    }
}

/// `$XDG_DATA_HOME/leasehold`, `~/.local/share/leasehold`, or the working directory where neither is known.
fn default_directory() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(home).unwrap_or_default().join("leasehold")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<(&'static str, &'static str)>);

    impl Environment for Fixed {
        fn variables(&self) -> Vec<(String, String)> {
            self.0.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        }
    }

    fn with(variables: &[(&'static str, &'static str)]) -> Result<Draft, Error> {
        let mut all = vec![
            ("LEASEHOLD_NETBOX__URL", "https://netbox.example"),
            ("LEASEHOLD_NETBOX__TOKEN", "12e4567890123456789012345678901234567890"),
        ];
        all.extend_from_slice(variables);
        Draft::read(None, &Fixed(all))
    }

    #[test]
    fn a_token_that_looks_like_a_number_stays_text() {
        let settings = with(&[]).unwrap().check().unwrap();
        assert_eq!(settings.netbox.token.expose_secret(), "12e4567890123456789012345678901234567890");
    }

    #[test]
    fn an_unknown_key_is_an_error_and_other_variables_are_not_settings() {
        assert!(with(&[("LEASEHOLD_NETBOX__TOKN", "x")]).is_err());
        assert!(with(&[("LEASEHOLD_SERVER", "http://127.0.0.1:1")]).is_ok());
    }

    #[test]
    fn numbers_and_field_names_are_read_from_the_environment() {
        let draft = with(&[
            ("LEASEHOLD_SYNC__POLL_SECONDS", "0.5"),
            ("LEASEHOLD_NETBOX__FIELDS__LEASE_OWNER", "lessor"),
        ]);
        let settings = draft.unwrap().check().unwrap();
        assert_eq!(settings.poll, Duration::from_millis(500));
        assert_eq!(settings.netbox.fields.name(crate::netbox::Field::LeaseOwner), "lessor");
    }

    #[test]
    fn a_listener_outside_loopback_must_be_meant() {
        let remote = [("LEASEHOLD_SERVER__GRPC_LISTEN", "0.0.0.0:50051")];
        let error = with(&remote).unwrap().check().unwrap_err();
        assert!(error.to_string().contains("server.allow_remote"), "{error}");
        let meant = [remote[0], ("LEASEHOLD_SERVER__ALLOW_REMOTE", "true")];
        assert!(with(&meant).unwrap().check().is_ok());
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = with(&[("LEASEHOLD_LEDGER__POSTGRES_URL", "postgres://u:pw@h/db")]).unwrap().shown();
        assert!(!shown.contains("12e4") && !shown.contains("pw@"), "{shown}");
        assert!(shown.contains("token = \"(set)\""), "{shown}");
    }
}
