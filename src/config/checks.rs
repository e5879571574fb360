//! `[rpki]`, `[irr]`, `[bgp]`, `[dnsbl]` and `[ripestat]`: whom to ask about a block. Nobody outside is asked unless it stands here.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::policies::WrittenValidation;
use super::{Error, http_url, policies};
use crate::dnsbl::{CodeRange, DnsblSettings, Zone};
use crate::irr::{IrrSettings, Protocol, ServerSettings};
use crate::model::Class;
use crate::ripestat::RipeStatSettings;
use crate::rpki::feed::{FeedSettings, Place};
use crate::rpki::guard::Guard;
use crate::rpki::rtr::RtrSettings;
use crate::rpki::{RpkiSettings, Source};
use crate::validation::ValidationSettings;

/// Whom to ask about a block.
#[derive(Clone, Debug, Default)]
pub struct CheckSettings {
    /// Origin validation.
    pub rpki: RpkiSettings,
    /// The registries.
    pub irr: IrrSettings,
    /// Blocklists.
    pub dnsbl: DnsblSettings,
    /// Where RIPEstat is; `None` if nobody asks it.
    pub ripestat: Option<RipeStatSettings>,
    /// Whether RIPEstat is asked who announces a block.
    pub bgp: bool,
    /// How often, and what counts.
    pub validation: ValidationSettings,
}

/// A key and why its value makes no sense.
pub(super) fn wrong(key: &'static str, why: impl std::fmt::Display) -> Error {
    Error::Value { key, why: why.to_string() }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenRpki {
    sources: Vec<WrittenSource>,
    guard: WrittenGuard,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenGuard {
    at_least: usize,
    may_lose: f64,
}

impl Default for WrittenGuard {
    fn default() -> Self {
        let Guard { at_least, may_lose } = Guard::default();
        Self { at_least, may_lose }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum WrittenSource {
    Rtr { server: String, expire_seconds: Option<u64>, silence_seconds: Option<u64> },
    Vrps { file: Option<PathBuf>, url: Option<String>, expire_seconds: Option<u64> },
    Routinator { url: String },
    Ripestat,
}

/// A validator runs at least once an hour; a day without one is an outage.
const FEED_EXPIRE: u64 = 24 * 3600;
const RTR_SILENCE: u64 = 60;

fn source(written: &WrittenSource) -> Result<Source, Error> {
    const KEY: &str = "rpki.sources";
    Ok(match written {
        WrittenSource::Rtr { server, expire_seconds, silence_seconds } => Source::Rtr(RtrSettings {
            server: host_and_port(KEY, server)?,
            expire: expire_seconds.map(bounded),
            silence: bounded(silence_seconds.unwrap_or(RTR_SILENCE)),
        }),
        WrittenSource::Vrps { file, url, expire_seconds } => {
            let place = match (file, url) {
                (Some(file), None) => Place::File(file.clone()),
                (None, Some(url)) => Place::Url(http_url(KEY, url)?),
                _ => return Err(wrong(KEY, "a source of kind vrps has a file or a url")),
            };
            let expire = bounded(expire_seconds.unwrap_or(FEED_EXPIRE));
            Source::Feed(FeedSettings { place, expire })
        }
        WrittenSource::Routinator { url } => Source::Routinator(http_url(KEY, url)?),
        WrittenSource::Ripestat => Source::RipeStat,
    })
}

/// Longer than a year is for ever, and no instant lies that far ahead.
fn bounded(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(366 * 24 * 3600))
}

fn host_and_port(key: &'static str, text: &str) -> Result<String, Error> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => {
            Ok(text.to_owned())
        }
        _ => Err(wrong(key, format!("{text:?} is not host:port, such as 127.0.0.1:8282"))),
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenRipeStat {
    url: String,
    source_app: String,
}

impl Default for WrittenRipeStat {
    fn default() -> Self {
        Self { url: "https://stat.ripe.net".to_owned(), source_app: "leasehold".to_owned() }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenIrr {
    servers: Vec<WrittenServer>,
    authoritative: Vec<String>,
}

impl Default for WrittenIrr {
    fn default() -> Self {
        let rirs = ["AFRINIC", "APNIC", "ARIN", "LACNIC", "RIPE"];
        Self { servers: Vec::new(), authoritative: rirs.map(str::to_owned).into() }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenServer {
    server: String,
    #[serde(default)]
    protocol: WrittenProtocol,
    #[serde(default)]
    sources: Vec<String>,
    /// What RADB allows an address.
    #[serde(default = "four")]
    connections: usize,
}

fn four() -> usize {
    4
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum WrittenProtocol {
    #[default]
    Irrd,
    Ripe,
}

fn server(written: &WrittenServer) -> Result<ServerSettings, Error> {
    const KEY: &str = "irr.servers";
    if !(1..=64).contains(&written.connections) {
        return Err(wrong(KEY, format!("connections = {} is not between 1 and 64", written.connections)));
    }
    // They are put into a query as they are.
    let plain = |name: &&String| {
        name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    if let Some(name) = written.sources.iter().find(plain) {
        return Err(wrong(KEY, format!("{name:?} is no name of a source, such as RIPE")));
    }
    Ok(ServerSettings {
        server: host_and_port(KEY, &written.server)?,
        protocol: match written.protocol {
            WrittenProtocol::Irrd => Protocol::Irrd,
            WrittenProtocol::Ripe => Protocol::Ripe,
        },
        sources: written.sources.clone(),
        connections: written.connections,
    })
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenBgp {
    source: WrittenCollector,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum WrittenCollector {
    #[default]
    None,
    Ripestat,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenDnsbl {
    resolvers: Vec<SocketAddr>,
    timeout_seconds: f64,
    zones: Vec<WrittenZone>,
}

impl Default for WrittenDnsbl {
    fn default() -> Self {
        Self { resolvers: Vec::new(), timeout_seconds: 5.0, zones: Vec::new() }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenZone {
    name: String,
    /// What its answers mean; the first that fits counts. Spamhaus's custom if absent.
    #[serde(default)]
    codes: Vec<WrittenCodes>,
    #[serde(default = "twenty")]
    queries_per_second: u32,
    #[serde(default = "yes")]
    ipv4: bool,
    #[serde(default)]
    ipv6: bool,
}

fn twenty() -> u32 {
    20
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenCodes {
    codes: String,
    class: String,
}

fn zone(written: &WrittenZone) -> Result<Zone, Error> {
    const KEY: &str = "dnsbl.zones";
    let name = written.name.trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    // 32 nibbles with their dots stand before it.
    if name.len() > 180 || !name.split('.').all(label) {
        return Err(wrong(KEY, format!("{:?} is no name of a zone, such as bl.example.org", written.name)));
    }
    if written.queries_per_second == 0 {
        return Err(wrong(KEY, format!("{name}: queries_per_second is 0")));
    }
    if !written.ipv4 && !written.ipv6 {
        return Err(wrong(KEY, format!("{name} lists neither IPv4 nor IPv6")));
    }
    let read = |row: &WrittenCodes| -> Result<(CodeRange, Class), Error> {
        let codes = row.codes.parse().map_err(|why| wrong(KEY, format!("{name}: {why}")))?;
        let class = row.class.parse().map_err(|why| wrong(KEY, format!("{name}: {why}")))?;
        Ok((codes, class))
    };
    let codes = written.codes.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Zone {
        codes: if codes.is_empty() { Zone::usual_codes() } else { codes },
        rate: written.queries_per_second,
        four: written.ipv4,
        six: written.ipv6,
        name,
    })
}

fn dnsbl(written: &WrittenDnsbl) -> Result<DnsblSettings, Error> {
    if !(0.1..=60.0).contains(&written.timeout_seconds) {
        return Err(wrong("dnsbl.timeout_seconds", "is not between 0.1 and 60"));
    }
    let zones = written.zones.iter().map(zone).collect::<Result<Vec<_>, _>>()?;
    let mut names = BTreeSet::new();
    if let Some(twice) = zones.iter().find(|zone| !names.insert(&zone.name)) {
        return Err(wrong("dnsbl.zones", format!("{} is named twice", twice.name)));
    }
    Ok(DnsblSettings {
        resolvers: written.resolvers.clone(),
        zones,
        timeout: Duration::from_secs_f64(written.timeout_seconds),
    })
}

/// Everything that has to do with checks, as written.
#[derive(Clone, Copy, Debug)]
pub(super) struct WrittenChecks<'a> {
    pub(super) rpki: &'a WrittenRpki,
    pub(super) irr: &'a WrittenIrr,
    pub(super) bgp: &'a WrittenBgp,
    pub(super) dnsbl: &'a WrittenDnsbl,
    pub(super) ripestat: &'a WrittenRipeStat,
    pub(super) validation: &'a WrittenValidation,
}

pub(super) fn check(written: WrittenChecks<'_>) -> Result<CheckSettings, Error> {
    let guard = &written.rpki.guard;
    if !(0.0..=1.0).contains(&guard.may_lose) {
        return Err(wrong("rpki.guard.may_lose", "is not between 0 and 1"));
    }
    let sources = written.rpki.sources.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    let bgp = written.bgp.source == WrittenCollector::Ripestat;
    let ripestat = RipeStatSettings {
        url: http_url("ripestat.url", &written.ripestat.url)?,
        source_app: written.ripestat.source_app.clone(),
    };
    let ripestat = (bgp || sources.contains(&Source::RipeStat)).then_some(ripestat);
    Ok(CheckSettings {
        rpki: RpkiSettings { sources, guard: Guard { at_least: guard.at_least, may_lose: guard.may_lose } },
        irr: IrrSettings {
            servers: written.irr.servers.iter().map(server).collect::<Result<_, _>>()?,
            authoritative: written.irr.authoritative.clone(),
        },
        dnsbl: dnsbl(written.dnsbl)?,
        ripestat,
        bgp,
        validation: policies::validation(written.validation)?,
    })
}
