//! Asks the blocklist zones over the network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::{DnsError, NetError, runtime::TokioRuntimeProvider};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::reply::{self, LookupFailure, Reply};
use super::zone::Zone;
use crate::model::Listing;
use crate::web::ConnectionFault;

/// Which blocklists are asked, and through which resolvers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsblSettings {
    /// The machine's own resolvers if empty. Many lists refuse queries from public resolvers.
    pub resolvers: Vec<SocketAddr>,
    pub zones: Vec<Zone>,
    /// Limit for one query.
    pub timeout: Duration,
}

/// No resolver could be made, so no blocklist can be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no DNS resolver could be made: {0}; set dnsbl.resolvers")]
pub struct NoResolver(String);

/// The state of a zone, for the status report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneState {
    pub name: String,
    /// The outcome of the last self-test; `None` before the first one.
    pub self_test: Option<Result<(), LookupFailure>>,
}

/// Open queries over all zones. Hickory itself fails with "busy" at a slightly higher number.
const MAX_OPEN_QUERIES: usize = 28;
/// How long a self-test is valid, by its outcome.
const PASSED_TEST_VALID_FOR: Duration = Duration::from_hours(1);
const FAILED_TEST_VALID_FOR: Duration = Duration::from_mins(1);
/// The longest reason that is kept, in characters.
const MAX_REASON_CHARS: usize = 300;

struct Blocklist {
    zone: Arc<Zone>,
    /// When the next query may be sent. The lock is never held across an await.
    next_query: Mutex<Instant>,
    /// When the last self-test ended, and its outcome. The lock is held during a self-test, so that callers share its outcome.
    last_test: tokio::sync::Mutex<Option<(Instant, Result<(), LookupFailure>)>>,
    /// A copy of the last outcome for the status report, which must not wait for a self-test.
    reported_test: Mutex<Option<Result<(), LookupFailure>>>,
}

/// A client of all configured blocklists.
pub struct Blocklists {
    lists: Vec<Blocklist>,
    resolver: TokioResolver,
    /// One permit for each open query.
    slots: Semaphore,
}

impl Blocklists {
    /// Makes a client with its own resolver; nothing is asked yet.
    pub fn new(settings: &DnsblSettings) -> Result<Self, NoResolver> {
        let failed = |error: NetError| NoResolver(error.to_string());
        let mut builder = if settings.resolvers.is_empty() {
            TokioResolver::builder_tokio().map_err(failed)?
        } else {
            let servers = settings.resolvers.iter().map(|server| name_server(*server)).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = settings.timeout;
        options.attempts = 1;
        // A self-test that is answered from a cache tests nothing, and results are kept in the ledger.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let resolver = builder.build().map_err(failed)?;
        let list = |zone: &Zone| Blocklist {
            zone: Arc::new(zone.clone()),
            next_query: Mutex::new(Instant::now()),
            last_test: tokio::sync::Mutex::new(None),
            reported_test: Mutex::new(None),
        };
        Ok(Self {
            lists: settings.zones.iter().map(list).collect(),
            resolver,
            slots: Semaphore::new(MAX_OPEN_QUERIES),
        })
    }

    /// The zones that list addresses of this family.
    pub fn zones(&self, address: IpAddr) -> Vec<Arc<Zone>> {
        self.lists.iter().filter(|list| list.zone.covers(address)).map(|list| list.zone.clone()).collect()
    }

    /// Whether at least one zone is configured.
    pub fn is_configured(&self) -> bool {
        !self.lists.is_empty()
    }

    /// The state of each zone, in the order of the settings.
    pub fn states(&self) -> Vec<ZoneState> {
        let self_test =
            |list: &Blocklist| list.reported_test.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.lists
            .iter()
            .map(|list| ZoneState { name: list.zone.name.clone(), self_test: self_test(list) })
            .collect()
    }

    /// Asks one zone about one address, after the zone has passed its self-test. `None` means not listed.
    pub async fn check(&self, zone: &str, address: IpAddr) -> Result<Option<Listing>, LookupFailure> {
        let Some(list) = self.lists.iter().find(|list| list.zone.name == zone) else {
            return Err(LookupFailure::Untested("it is not configured".to_owned()));
        };
        self.ensure_tested(list).await?;
        self.look_up(list, address).await
    }

    /// Runs the self-test of a zone (RFC 5782, section 5), or returns the last outcome while that is valid.
    pub async fn self_test(&self, zone: &str) -> Result<(), LookupFailure> {
        match self.lists.iter().find(|list| list.zone.name == zone) {
            Some(list) => self.ensure_tested(list).await,
            None => Err(LookupFailure::Untested("it is not configured".to_owned())),
        }
    }

    /// Runs the self-test of a zone now, for a zone that passed the last one but has stopped answering.
    pub async fn retest(&self, zone: &str) {
        if let Some(list) = self.lists.iter().find(|list| list.zone.name == zone) {
            *list.last_test.lock().await = None;
            let _ = self.ensure_tested(list).await;
        }
    }

    async fn ensure_tested(&self, list: &Blocklist) -> Result<(), LookupFailure> {
        let mut last_test = list.last_test.lock().await;
        if let Some((at, outcome)) = last_test.as_ref() {
            let valid_for = if outcome.is_ok() { PASSED_TEST_VALID_FOR } else { FAILED_TEST_VALID_FOR };
            if at.elapsed() < valid_for {
                return outcome.clone();
            }
        }
        let outcome = self.run_test(list).await;
        if let Err(failure) = &outcome {
            tracing::warn!(zone = list.zone.name, %failure, "a blocklist failed its self-test; its answers are not used");
        }
        *list.reported_test.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome.clone());
        *last_test = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// Checks that 127.0.0.2 is listed and 127.0.0.1 is not; an IPv6 zone uses the IPv4-mapped addresses.
    async fn run_test(&self, list: &Blocklist) -> Result<(), LookupFailure> {
        let (listed, not_listed): (IpAddr, IpAddr) = if list.zone.ipv4 {
            (Ipv4Addr::new(127, 0, 0, 2).into(), Ipv4Addr::LOCALHOST.into())
        } else {
            let mapped = |ipv4: Ipv4Addr| -> IpAddr { ipv4.to_ipv6_mapped().into() };
            (mapped(Ipv4Addr::new(127, 0, 0, 2)), mapped(Ipv4Addr::LOCALHOST))
        };
        let failed = |what: String| LookupFailure::Untested(what);
        match self.look_up(list, listed).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(failed(format!("its test address {listed} is not listed"))),
            Err(failure) => return Err(failed(failure.to_string())),
        }
        match self.look_up(list, not_listed).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(failed(format!("{not_listed} is listed, although no list may contain it"))),
            Err(failure) => Err(failed(failure.to_string())),
        }
    }

    async fn look_up(&self, list: &Blocklist, address: IpAddr) -> Result<Option<Listing>, LookupFailure> {
        let name = list.zone.query_name(address);
        let reply = self.query_codes(list, &name).await;
        let Some((class, codes)) = reply::judge(&list.zone, &reply)? else { return Ok(None) };
        let reason = self.query_reason(list, &name).await;
        Ok(Some(Listing { class, codes, reason }))
    }

    async fn query_codes(&self, list: &Blocklist, name: &str) -> Reply {
        // The zone's turn comes before the slot: queries to a slow list must not occupy slots that others could use.
        pace(list).await;
        let Ok(_slot) = self.slots.acquire().await else { return Reply::TimedOut };
        match self.resolver.lookup(name, RecordType::A).await {
            Ok(found) => {
                let address = |data: &RData| match data {
                    RData::A(address) => Some(Ipv4Addr::from(*address)),
                    _ => None,
                };
                Reply::Addresses(found.answers().iter().filter_map(|record| address(&record.data)).collect())
            }
            Err(error) => failed_reply(&error),
        }
    }

    /// The reason of a listing, from its TXT record. It is empty if the query fails, because the listing holds without it.
    async fn query_reason(&self, list: &Blocklist, name: &str) -> String {
        pace(list).await;
        let Ok(_slot) = self.slots.acquire().await else { return String::new() };
        let Ok(found) = self.resolver.lookup(name, RecordType::TXT).await else { return String::new() };
        let text = |data: &RData| match data {
            RData::TXT(text) => Some(
                text.txt_data
                    .iter()
                    .map(|part| String::from_utf8_lossy(part).into_owned())
                    .collect::<String>(),
            ),
            _ => None,
        };
        let reasons: Vec<String> = found.answers().iter().filter_map(|record| text(&record.data)).collect();
        reasons.join("; ").chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect()
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = server.port();
    tcp.port = server.port();
    NameServerConfig::new(server.ip(), true, vec![udp, tcp])
}

/// Waits until the zone's rate allows the next query.
async fn pace(list: &Blocklist) {
    let gap = Duration::from_secs(1) / list.zone.queries_per_second.get();
    let turn = {
        let mut next = list.next_query.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(Instant::now());
        *next = turn + gap;
        turn
    };
    sleep_until(turn).await;
}

fn failed_reply(error: &NetError) -> Reply {
    match error {
        NetError::Timeout => Reply::TimedOut,
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Reply::NxDomain,
            ResponseCode::NoError => Reply::NoData,
            code => Reply::Error(code.to_string()),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => Reply::Error(code.to_string()),
        other => Reply::Unreachable(ConnectionFault::of(other)),
    }
}
