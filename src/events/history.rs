//! Who had this address then? The present, with what has happened since undone.
//!
//! From the time on from which the log is whole, it answers. For the time before, NetBox's change log does, as far as it
//! reaches; what reaches neither is refused, not guessed. The walk itself ([`undo`]) is pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::log::EventLog;
use crate::cache::{Cache, Index};
use crate::ledger;
use crate::model::{Address, Change, Event, Happening, Network, Prefix, Subject, Table};
use crate::netbox::{self, About, Client, Logged, PastChange};

/// The past cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The instant lies ahead.
    #[error("{at} lies in the future")]
    Future {
        /// The instant asked for.
        at: Timestamp,
    },
    /// Neither log reaches back that far.
    #[error("what stood at {at} is not known: the logs reach back to {known_since}")]
    NotKept {
        /// The instant asked for.
        at: Timestamp,
        /// From when on the past is known.
        known_since: Timestamp,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// NetBox, asked for its change log.
    #[error(transparent)]
    NetBox(#[from] netbox::Error),
}

/// What stood at an instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Prefixes that held the address, the most specific last.
    pub chain: Vec<Arc<Prefix>>,
    /// Records of the address.
    pub records: Vec<Arc<Address>>,
}

/// What happened to an address and to the prefixes over it.
#[derive(Clone, Debug)]
pub struct History {
    /// From our log, the newest first.
    pub recorded: Vec<Event>,
    /// Before our log began, from NetBox's, the newest first.
    pub earlier: Vec<Happening>,
    /// What happened before is not known.
    pub known_since: Timestamp,
}

/// Answers for the past.
pub struct Historian {
    client: Client,
    cache: Arc<Cache>,
    log: Arc<EventLog>,
}

impl Historian {
    /// A historian over the log, and NetBox's for the time before.
    pub fn new(client: Client, cache: Arc<Cache>, log: Arc<EventLog>) -> Self {
        Self { client, cache, log }
    }

    /// What stood at an instant, and from when on that can be known.
    pub async fn as_of(
        &self,
        table: Table,
        host: IpAddr,
        at: Timestamp,
    ) -> Result<(Standing, Timestamp), HistoryError> {
        let now = self.log.clock().now();
        if at > now {
            return Err(HistoryError::Future { at });
        }
        let log = self.log.clone();
        let (index, last) = self.cache.with_witness(move || log.last()).await;
        let whole_since = self.log.journal().extent().await?.continuous_since;
        let present = present(&index, table, host);
        if let Some(since) = whole_since.filter(|since| *since <= at) {
            let events = self.log.journal().touching(table, &networks_over(host)).await?;
            let changes =
                events.iter().rev().filter(|event| event.sequence <= last).map(|event| &event.happening);
            return Ok((undo(present, changes, table, host, at), since));
        }
        let reaches = self.client.past_known_since().await?;
        let known_since = [reaches, whole_since].into_iter().flatten().min().unwrap_or(now);
        if at < known_since {
            return Err(HistoryError::NotKept { at, known_since });
        }
        let changes = self.past(table, host, &present, Some(at)).await?;
        Ok((undo(present, changes.iter(), table, host, at), known_since))
    }

    /// Everything that is known to have happened to an address.
    pub async fn history(&self, table: Table, host: IpAddr) -> Result<History, HistoryError> {
        let present = present(&self.cache.snapshot(), table, host);
        let whole_since = self.log.journal().extent().await?.continuous_since;
        let recorded = self.log.journal().touching(table, &networks_over(host)).await?;
        let mut earlier = self.past(table, host, &present, None).await?;
        earlier.retain(|happening| whole_since.is_none_or(|since| happening.time < since));
        earlier.reverse();
        let reaches = self.client.past_known_since().await?;
        let now = self.log.clock().now();
        let known_since = [reaches, whole_since].into_iter().flatten().min().unwrap_or(now);
        Ok(History { recorded, earlier, known_since })
    }

    /// NetBox's change log, of everything that may have held the address, in order.
    async fn past(
        &self,
        table: Table,
        host: IpAddr,
        present: &Standing,
        since: Option<Timestamp>,
    ) -> Result<Vec<Happening>, HistoryError> {
        let prefixes = About::Prefixes(networks_over(host));
        let standing = present.chain.iter().map(|prefix| prefix.id.0);
        let prefixes: Vec<PastChange<Prefix>> = self.past_of(prefixes, standing, since).await?;
        let standing = present.records.iter().map(|address| address.id.0);
        let addresses: Vec<PastChange<Address>> = self.past_of(About::Host(host), standing, since).await?;
        let mut changes: Vec<(u64, Happening)> = Vec::new();
        for past in prefixes {
            let change = Change { before: past.before.map(Arc::new), after: past.after.map(Arc::new) };
            changes
                .push((past.id, Happening { time: past.time, ..Happening::prefix(change, None, past.time) }));
        }
        for past in addresses {
            let change = Change { before: past.before.map(Arc::new), after: past.after.map(Arc::new) };
            changes.push((
                past.id,
                Happening { time: past.time, ..Happening::address(change, None, past.time) },
            ));
        }
        changes.sort_by_key(|(id, _)| *id);
        let here = |happening: &Happening| happening.networks().iter().any(|(found, _)| *found == table);
        Ok(changes.into_iter().map(|(_, happening)| happening).filter(here).collect())
    }

    /// Of records that were called so at any time, or stand: one may have been called otherwise when it changed.
    async fn past_of<R: Logged>(
        &self,
        about: About,
        standing: impl Iterator<Item = u64> + Send,
        since: Option<Timestamp>,
    ) -> Result<Vec<PastChange<R>>, netbox::Error> {
        let mut ids = self.client.past_records::<R>(&about).await?;
        ids.extend(standing);
        self.client.past_changes::<R>(&ids, since).await
    }
}

/// Every network that holds an address, itself included.
fn networks_over(host: IpAddr) -> Vec<Network> {
    let host = Network::host(host).net();
    let lengths = 0..=host.max_prefix_len();
    let nets = lengths.filter_map(|length| ipnet::IpNet::new(host.addr(), length).ok());
    nets.map(Network::containing).collect()
}

fn present(index: &Index, table: Table, host: IpAddr) -> Standing {
    let found = index.lookup(table, host);
    Standing { chain: found.chain.iter().copied().cloned().collect(), records: found.records.to_vec() }
}

/// Undoes what happened after an instant: of each record, what stood before the first change after it. The changes are given
/// the oldest first.
pub fn undo<'a>(
    present: Standing,
    changes: impl Iterator<Item = &'a Happening>,
    table: Table,
    host: IpAddr,
    at: Timestamp,
) -> Standing {
    let mut prefixes: BTreeMap<u64, Option<Arc<Prefix>>> =
        present.chain.into_iter().map(|prefix| (prefix.id.0, Some(prefix))).collect();
    let mut addresses: BTreeMap<u64, Option<Arc<Address>>> =
        present.records.into_iter().map(|address| (address.id.0, Some(address))).collect();
    // The earliest change of each record after the instant.
    let mut first_prefix: BTreeMap<u64, (Timestamp, &Change<Prefix>)> = BTreeMap::new();
    let mut first_address: BTreeMap<u64, (Timestamp, &Change<Address>)> = BTreeMap::new();
    for happening in changes.filter(|happening| happening.time > at) {
        match &happening.subject {
            Subject::Prefix(change) => {
                if let Some(latest) = change.latest() {
                    earliest(&mut first_prefix, latest.id.0, happening.time, change);
                }
            }
            Subject::Address(change) => {
                if let Some(latest) = change.latest() {
                    earliest(&mut first_address, latest.id.0, happening.time, change);
                }
            }
            Subject::Term(_) | Subject::Verdict(_) | Subject::Sync(_) => {}
        }
    }
    for (id, (_, change)) in first_prefix {
        prefixes.insert(id, change.before.clone());
    }
    for (id, (_, change)) in first_address {
        addresses.insert(id, change.before.clone());
    }
    let mut chain: Vec<Arc<Prefix>> = prefixes
        .into_values()
        .flatten()
        .filter(|prefix| prefix.table == table && prefix.network.contains_address(host))
        .collect();
    chain.sort_by_key(|prefix| (prefix.network.length(), prefix.id));
    let records = addresses
        .into_values()
        .flatten()
        .filter(|address| address.table == table && address.host() == host)
        .collect();
    Standing { chain, records }
}

fn earliest<'a, T>(
    first: &mut BTreeMap<u64, (Timestamp, &'a Change<T>)>,
    id: u64,
    time: Timestamp,
    change: &'a Change<T>,
) {
    match first.get(&id) {
        Some((held, _)) if *held <= time => {}
        _ => {
            first.insert(id, (time, change));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PrefixId, Revision};
    use proptest::prelude::*;

    const NETWORKS: [&str; 4] = ["203.0.113.0/24", "203.0.113.0/28", "203.0.113.128/25", "198.51.100.0/24"];

    fn prefix(id: u64, network: usize, words: u8) -> Arc<Prefix> {
        Arc::new(Prefix {
            id: PrefixId(id),
            network: NETWORKS[network].parse().unwrap(),
            table: Table::Global,
            status: "active".into(),
            is_pool: false,
            mark_utilized: false,
            tenant: None,
            role: None,
            tags: Vec::new(),
            description: words.to_string(),
            lease: None,
            allocation: None,
            custom_fields: serde_json::Map::new(),
            revision: Revision::default(),
        })
    }

    fn second(second: usize) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + i64::try_from(second).unwrap()).unwrap()
    }

    fn held(world: &BTreeMap<u64, Arc<Prefix>>, host: IpAddr) -> Vec<Arc<Prefix>> {
        let mut chain: Vec<_> =
            world.values().filter(|prefix| prefix.network.contains_address(host)).cloned().collect();
        chain.sort_by_key(|prefix| (prefix.network.length(), prefix.id));
        chain
    }

    proptest! {
        /// Whatever happened to a handful of records (made, changed, moved to another network, deleted), undoing it gives
        /// the world that stood at each second.
        #[test]
        fn undoing_gives_what_stood(steps in prop::collection::vec((0u64..4, 0usize..4, any::<u8>(), 0u8..4), 1..60)) {
            let host: IpAddr = "203.0.113.7".parse().unwrap();
            let mut world: BTreeMap<u64, Arc<Prefix>> = BTreeMap::new();
            let (mut worlds, mut changes) = (vec![world.clone()], Vec::new());
            for (nth, (id, network, words, what)) in steps.into_iter().enumerate() {
                let before = world.get(&id).cloned();
                let after = (what > 0).then(|| prefix(id, network, words));
                match &after {
                    Some(after) => world.insert(id, after.clone()),
                    None => world.remove(&id),
                };
                if before.is_some() || after.is_some() {
                    let happening = Happening::prefix(Change { before, after }, None, second(nth + 1));
                    changes.push(Happening { time: second(nth + 1), ..happening });
                }
                worlds.push(world.clone());
            }
            for (nth, then) in worlds.iter().enumerate() {
                let present = Standing { chain: held(&world, host), records: Vec::new() };
                let stood = undo(present, changes.iter(), Table::Global, host, second(nth));
                prop_assert_eq!(stood.chain, held(then, host));
            }
        }
    }
}
