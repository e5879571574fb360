//! The lists, asked over the network.

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

use super::answer::{self, Failure, Reply};
use super::zone::Zone;
use crate::model::Listing;

/// Which lists, and through whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsblSettings {
    /// Resolvers; those of the machine if empty. Many lists refuse public ones.
    pub resolvers: Vec<SocketAddr>,
    /// The lists.
    pub zones: Vec<Zone>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// The lists cannot be asked at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no resolver can be made: {0}")]
pub struct NoResolver(String);

/// What is known of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneState {
    /// Its name.
    pub name: String,
    /// What its last self-test said; `None` before the first.
    pub tested: Option<Result<(), Failure>>,
}

/// Below hickory's own bound, at which it answers "busy".
const UNDER_WAY: usize = 28;
/// A self-test is good for so long; one that failed is repeated sooner.
const TEST_EVERY: Duration = Duration::from_hours(1);
const TEST_AGAIN: Duration = Duration::from_mins(1);

struct List {
    zone: Arc<Zone>,
    /// When the next query may leave.
    next: Mutex<Instant>,
    tested: tokio::sync::Mutex<Option<(Instant, Result<(), Failure>)>>,
    shown: Mutex<Option<Result<(), Failure>>>,
}

/// Asks the lists.
pub struct Lists {
    all: Vec<List>,
    resolver: TokioResolver,
    slots: Semaphore,
}

impl Lists {
    /// Makes a resolver of its own; asks nothing yet.
    pub fn new(settings: &DnsblSettings) -> Result<Self, NoResolver> {
        let failed = |error: NetError| NoResolver(error.to_string());
        let mut builder = if settings.resolvers.is_empty() {
            TokioResolver::builder_tokio().map_err(failed)?
        } else {
            let servers = settings.resolvers.iter().map(|server| server_at(*server)).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = settings.timeout;
        options.attempts = 1;
        // A self-test out of a cache tests nothing, and the ledger remembers better.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let resolver = builder.build().map_err(failed)?;
        let list = |zone: &Zone| List {
            zone: Arc::new(zone.clone()),
            next: Mutex::new(Instant::now()),
            tested: tokio::sync::Mutex::new(None),
            shown: Mutex::new(None),
        };
        Ok(Self {
            all: settings.zones.iter().map(list).collect(),
            resolver,
            slots: Semaphore::new(UNDER_WAY),
        })
    }

    /// The zones that say something about such an address.
    pub fn zones(&self, address: IpAddr) -> Vec<Arc<Zone>> {
        self.all.iter().filter(|list| list.zone.covers(address)).map(|list| list.zone.clone()).collect()
    }

    /// Whether there is any zone.
    pub fn is_configured(&self) -> bool {
        !self.all.is_empty()
    }

    /// What is known of each zone.
    pub fn states(&self) -> Vec<ZoneState> {
        let tested = |list: &List| list.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.all.iter().map(|list| ZoneState { name: list.zone.name.clone(), tested: tested(list) }).collect()
    }

    /// Asks one zone about one address, after its self-test. `None`: not listed.
    pub async fn check(&self, zone: &str, address: IpAddr) -> Result<Option<Listing>, Failure> {
        let Some(list) = self.all.iter().find(|list| list.zone.name == zone) else {
            return Err(Failure::Untested("no such zone".to_owned()));
        };
        self.tested(list).await?;
        self.listed(list, address).await
    }

    /// The self-test of a zone (RFC 5782, section 5), or the last one if it is recent.
    pub async fn self_test(&self, zone: &str) -> Result<(), Failure> {
        match self.all.iter().find(|list| list.zone.name == zone) {
            Some(list) => self.tested(list).await,
            None => Err(Failure::Untested("no such zone".to_owned())),
        }
    }

    /// Tests a zone anew, whatever the last test said: one that was well and gives no answers any more.
    pub async fn retest(&self, zone: &str) {
        if let Some(list) = self.all.iter().find(|list| list.zone.name == zone) {
            *list.tested.lock().await = None;
            let _ = self.tested(list).await;
        }
    }

    async fn tested(&self, list: &List) -> Result<(), Failure> {
        let mut tested = list.tested.lock().await;
        if let Some((at, outcome)) = tested.as_ref() {
            let good_for = if outcome.is_ok() { TEST_EVERY } else { TEST_AGAIN };
            if at.elapsed() < good_for {
                return outcome.clone();
            }
        }
        let outcome = self.test(list).await;
        if let Err(failure) = &outcome {
            tracing::warn!(zone = list.zone.name, %failure, "a blocklist is not to be believed");
        }
        *list.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome.clone());
        *tested = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// 127.0.0.2 must be listed and 127.0.0.1 must not; for IPv6 the same, mapped.
    async fn test(&self, list: &List) -> Result<(), Failure> {
        let (must, must_not): (IpAddr, IpAddr) = if list.zone.four {
            (Ipv4Addr::new(127, 0, 0, 2).into(), Ipv4Addr::LOCALHOST.into())
        } else {
            let mapped = |four: Ipv4Addr| -> IpAddr { four.to_ipv6_mapped().into() };
            (mapped(Ipv4Addr::new(127, 0, 0, 2)), mapped(Ipv4Addr::LOCALHOST))
        };
        let failed = |what: String| Failure::Untested(what);
        match self.listed(list, must).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(failed(format!("{must} is not listed, as it must be"))),
            Err(failure) => return Err(failed(failure.to_string())),
        }
        match self.listed(list, must_not).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(failed(format!("{must_not} is listed, as it must not be"))),
            Err(failure) => Err(failed(failure.to_string())),
        }
    }

    async fn listed(&self, list: &List, address: IpAddr) -> Result<Option<Listing>, Failure> {
        let name = list.zone.query(address);
        let reply = self.ask(list, &name).await;
        let Some((class, codes)) = answer::judge(&list.zone, &reply)? else { return Ok(None) };
        let reason = self.reason(list, &name).await;
        Ok(Some(Listing { class, codes, reason }))
    }

    async fn ask(&self, list: &List, name: &str) -> Reply {
        // Its turn first: a slow list's queries must not hold the slots that others could use.
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
            Err(error) => reply_of(&error),
        }
    }

    /// The reason is a courtesy: without it a listing is a listing.
    async fn reason(&self, list: &List, name: &str) -> String {
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
        reasons.join("; ").chars().filter(|c| !c.is_control()).take(300).collect()
    }
}

fn server_at(server: SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = server.port();
    tcp.port = server.port();
    NameServerConfig::new(server.ip(), true, vec![udp, tcp])
}

/// Waits for this zone's turn.
async fn pace(list: &List) {
    let gap = Duration::from_secs(1) / list.zone.rate.max(1);
    let turn = {
        let mut next = list.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(Instant::now());
        *next = turn + gap;
        turn
    };
    sleep_until(turn).await;
}

fn reply_of(error: &NetError) -> Reply {
    match error {
        NetError::Timeout => Reply::TimedOut,
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Reply::NoSuchName,
            ResponseCode::NoError => Reply::NoData,
            code => Reply::Error(code.to_string()),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => Reply::Error(code.to_string()),
        other => Reply::Error(other.to_string()),
    }
}
