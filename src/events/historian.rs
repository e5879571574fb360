//! The past of an address: from this server's log, and for the time before the log from NetBox's change log.
//!
//! Where neither log reaches back far enough, the answer is an error and not a guess.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::error::HistoryError;
use super::log::EventLog;
use super::undo::{AddressSnapshot, undo};
use crate::cache::{Cache, Index};
use crate::model::{DomainEvent, Event, Network, RecordChange, VrfScope};
use crate::netbox::Client;

/// What happened to an address and to the prefixes that contain it.
#[derive(Clone, Debug)]
pub struct History {
    /// From the event log, the newest first.
    pub recorded: Vec<Event>,
    /// From NetBox's change log, before the event log began; the newest first.
    pub earlier: Vec<DomainEvent>,
    /// What happened before this instant is not known.
    pub known_since: Timestamp,
}

/// Answers questions about the past of an address.
pub struct Historian {
    client: Client,
    cache: Arc<Cache>,
    log: Arc<EventLog>,
}

impl Historian {
    /// A historian that reads the event log, and asks NetBox about the time before it.
    pub fn new(client: Client, cache: Arc<Cache>, log: Arc<EventLog>) -> Self {
        Self { client, cache, log }
    }

    /// What NetBox held for an address at an instant, and since when that can be known.
    pub async fn as_of(
        &self,
        scope: VrfScope,
        host: IpAddr,
        at: Timestamp,
    ) -> Result<(AddressSnapshot, Timestamp), HistoryError> {
        let now = self.log.clock().now();
        if at > now {
            return Err(HistoryError::Future { at });
        }
        let log = self.log.clone();
        let (index, last) = self.cache.snapshot_with(move || log.last()).await;
        let continuous_since = self.log.journal().extent().await?.continuous_since;
        let present = present(&index, scope, host);
        if let Some(since) = continuous_since.filter(|since| *since <= at) {
            let events = self.log.journal().about_networks(scope, &networks_containing(host)).await?;
            let changes =
                events.iter().rev().filter(|event| event.sequence <= last).map(|event| &event.domain_event);
            return Ok((undo(present, changes, scope, host, at), since));
        }
        let oldest_change = self.client.oldest_object_change_time().await?;
        let known_since = [oldest_change, continuous_since].into_iter().flatten().min().unwrap_or(now);
        if at < known_since {
            return Err(HistoryError::NotKept { at, known_since });
        }
        let changes = self.netbox_changes(scope, host, &present, Some(at)).await?;
        Ok((undo(present, changes.iter(), scope, host, at), known_since))
    }

    /// Everything that is known to have happened to an address and to the prefixes that contain it.
    pub async fn history(&self, scope: VrfScope, host: IpAddr) -> Result<History, HistoryError> {
        let present = present(&self.cache.snapshot(), scope, host);
        let continuous_since = self.log.journal().extent().await?.continuous_since;
        let recorded = self.log.journal().about_networks(scope, &networks_containing(host)).await?;
        let mut earlier = self.netbox_changes(scope, host, &present, None).await?;
        earlier.retain(|domain_event| continuous_since.is_none_or(|since| domain_event.time < since));
        earlier.reverse();
        let oldest_change = self.client.oldest_object_change_time().await?;
        let now = self.log.clock().now();
        let known_since = [oldest_change, continuous_since].into_iter().flatten().min().unwrap_or(now);
        Ok(History { recorded, earlier, known_since })
    }

    /// The entries of NetBox's change log about the address and every prefix that may have contained it, the oldest first.
    async fn netbox_changes(
        &self,
        scope: VrfScope,
        host: IpAddr,
        present: &AddressSnapshot,
        since: Option<Timestamp>,
    ) -> Result<Vec<DomainEvent>, HistoryError> {
        let known: Vec<u64> = present.chain.iter().map(|prefix| prefix.id.0).collect();
        let prefixes = self.client.prefix_changes(networks_containing(host), known, since).await?;
        let known: Vec<u64> = present.records.iter().map(|address| address.id.0).collect();
        let addresses = self.client.address_changes(host, known, since).await?;
        let mut changes: Vec<(u64, DomainEvent)> = Vec::new();
        for past in prefixes {
            let change = RecordChange { before: past.before.map(Arc::new), after: past.after.map(Arc::new) };
            changes.push((
                past.id,
                DomainEvent { time: past.time, ..DomainEvent::prefix(change, None, past.time) },
            ));
        }
        for past in addresses {
            let change = RecordChange { before: past.before.map(Arc::new), after: past.after.map(Arc::new) };
            changes.push((
                past.id,
                DomainEvent { time: past.time, ..DomainEvent::address(change, None, past.time) },
            ));
        }
        changes.sort_by_key(|(id, _)| *id);
        let here =
            |domain_event: &DomainEvent| domain_event.networks().iter().any(|(found, _)| *found == scope);
        Ok(changes.into_iter().map(|(_, domain_event)| domain_event).filter(here).collect())
    }
}

/// Every network that contains an address, from the default route down to the address itself.
fn networks_containing(host: IpAddr) -> Vec<Network> {
    let host = Network::host(host).net();
    let lengths = 0..=host.max_prefix_len();
    let nets = lengths.filter_map(|length| ipnet::IpNet::new(host.addr(), length).ok());
    nets.map(Network::containing).collect()
}

/// What the cache holds for an address now.
fn present(index: &Index, scope: VrfScope, host: IpAddr) -> AddressSnapshot {
    let found = index.lookup(scope, host);
    AddressSnapshot { chain: found.chain.iter().copied().cloned().collect(), records: found.records.to_vec() }
}
