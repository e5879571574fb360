//! Settings as they were read, before they are checked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::error::{Error, Problems};
use super::load::load;
use super::renamed;
use super::sections::Sections;
use super::settings::{CheckSettings, Settings};
use crate::netbox::NetBoxSettings;
use crate::rpki::RpkiSource;

/// Settings from file, environment and flags, with the problems that were found while they were read.
#[derive(Clone, Debug)]
pub struct RawSettings {
    sections: Sections,
    problems: Problems,
    warnings: Vec<String>,
    /// Whether the settings file could be parsed.
    complete: bool,
    /// Where data is kept if `storage.directory` is not set.
    default_directory: PathBuf,
}

/// Command-line flags, which override the file and the environment. `None` overrides nothing.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// Takes the place of `netbox.url`.
    pub netbox_url: Option<String>,
    /// Takes the place of `netbox.token_file` and `netbox.token`.
    pub netbox_token_file: Option<PathBuf>,
    /// Takes the place of `server.grpc_listen`.
    pub grpc_listen: Option<SocketAddr>,
    /// Takes the place of `server.http_listen`.
    pub http_listen: Option<SocketAddr>,
    /// Takes the place of `storage.directory`.
    pub directory: Option<PathBuf>,
    /// Sets `server.allow_remote` if true.
    pub allow_remote: bool,
}

impl RawSettings {
    /// Reads the file (or the system's file if none is named) and the environment. Problems are kept for [`Self::check`].
    pub fn read(file: Option<&Path>, environment: &dyn Environment) -> Self {
        let mut problems = Problems::default();
        let mut loaded = load(file, environment, &mut problems);
        let mut warnings = loaded.warnings;
        warnings.extend(renamed::apply(&mut loaded.table, &mut problems));
        let sections = Sections::decode(loaded.table, &mut problems);
        let default_directory = default_directory(environment);
        Self { sections, problems, warnings, complete: loaded.complete, default_directory }
    }

    /// Overrides settings by flags.
    #[must_use]
    pub fn with_flags(mut self, flags: Flags) -> Self {
        let sections = &mut self.sections;
        if let Some(url) = flags.netbox_url {
            sections.netbox.url = url;
        }
        if let Some(file) = flags.netbox_token_file {
            sections.netbox.token_file = Some(file);
            sections.netbox.token.clear();
        }
        if let Some(listen) = flags.grpc_listen {
            sections.server.grpc_listen = listen;
        }
        if let Some(listen) = flags.http_listen {
            sections.server.http_listen = listen;
        }
        if let Some(directory) = flags.directory {
            sections.storage.directory = Some(directory);
        }
        sections.server.allow_remote |= flags.allow_remote;
        self
    }

    /// What works, but should be changed: old names of settings, for example.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Logs every warning. Call it once logging has started.
    pub fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// The effective settings as TOML, with `(set)` in place of secrets.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.sections).unwrap_or_else(|error| format!("# cannot be shown: {error}"))
    }

    /// Checks every setting. The error lists all problems of file, environment and flags at once.
    pub fn check(&self) -> Result<Settings, Error> {
        let mut problems = self.problems.clone();
        if !self.complete {
            // A setting that seems to be missing may be in the file that could not be parsed.
            return problems.finish(None);
        }
        let sections = &self.sections;
        let directory = sections.storage.directory.clone().unwrap_or_else(|| self.default_directory.clone());
        let netbox = sections.netbox.check(&mut problems);
        let drain = sections.server.check(&mut problems);
        let ledger = sections.ledger.check(&directory, &mut problems);
        let keep_intents = sections.ledger.keep_intents(&mut problems);
        let (poll, full_pass) = sections.sync.check(&mut problems);
        let time_zone = sections.lease.check(&mut problems);
        let events = sections.events.check(&mut problems);
        let expiry = sections.expiry.check(&mut problems);
        let notify = sections.notify.check(&mut problems);
        let checks = checks(sections, &mut problems);
        let allocation = sections.allocation.check(&mut problems);
        let pools = sections.pools.check(&mut problems);
        let calendar_token = sections.calendar.check(&mut problems);
        sections.log.check(&mut problems);
        let settings = || {
            Some(Settings {
                netbox: netbox?,
                grpc_listen: sections.server.grpc_listen,
                http_listen: sections.server.http_listen,
                drain,
                cache_file: Some(directory.join("cache.db")),
                ledger: ledger?,
                keep_intents,
                poll,
                full_pass,
                time_zone: time_zone?,
                events,
                expiry: expiry?,
                notify,
                checks: checks?,
                allocation,
                pools,
                calendar_token: calendar_token.ok()?,
                log_level: sections.log.level.clone(),
                log_format: sections.log.format,
            })
        };
        problems.finish(settings())
    }

    /// Checks only what `setup` needs: how to reach NetBox. Every key must be known and have the right type all the same.
    pub fn netbox(&self) -> Result<NetBoxSettings, Error> {
        let mut problems = self.problems.clone();
        if !self.complete {
            return problems.finish(None);
        }
        let netbox = self.sections.netbox.check(&mut problems);
        problems.finish(netbox)
    }
}

fn checks(sections: &Sections, problems: &mut Problems) -> Option<CheckSettings> {
    let rpki = sections.rpki.check(problems);
    let irr = sections.irr.check(problems);
    let dnsbl = sections.dnsbl.check(problems);
    let bgp = sections.bgp.asks_ripestat();
    let ripestat = sections.ripestat.check(problems);
    let validation = sections.validation.check(problems);
    let is_asked = bgp || rpki.sources.contains(&RpkiSource::RipeStat);
    Some(CheckSettings { rpki, irr, dnsbl, ripestat: Some(ripestat?).filter(|_| is_asked), bgp, validation })
}

/// `$XDG_DATA_HOME/leasehold`, or `~/.local/share/leasehold`, or `leasehold` in the working directory.
fn default_directory(environment: &dyn Environment) -> PathBuf {
    let home = || environment.variable("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let data = environment.variable("XDG_DATA_HOME").map(PathBuf::from).or_else(home);
    data.unwrap_or_default().join("leasehold")
}
