//! The past of an address: from this server's log, and for the time before the log from NetBox's change log.
//!
//! Where neither log reaches back far enough, the answer is an error and not a guess.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::earlier::{HistoryEvent, LoggedByNetBox, earlier};
use super::error::HistoryError;
use super::history_position::HistoryPosition;
use super::log::EventLog;
use super::undo::{AddressSnapshot, undo};
use crate::cache::{Cache, Index};
use crate::ledger::LogWalk;
use crate::model::{DomainEvent, Event, Network, RecordChange, VrfScope};
use crate::netbox::Client;

/// Events that are read from the journal at once.
const READ_AT_ONCE: u32 = 1000;

/// A page of what happened to an address and to the prefixes that contain it, the newest first.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// Each event with the position of a page that ends with it.
    pub events: Vec<(HistoryEvent, HistoryPosition)>,
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
            let events = self.events_about(&networks_containing(host), scope, |_, _| false).await?;
            let changes =
                events.iter().filter(|event| event.sequence <= last).map(|event| &event.domain_event);
            return Ok((undo(present, changes, scope, host, at), since));
        }
        let oldest_change = self.client.oldest_object_change_time().await?;
        let known_since = [oldest_change, continuous_since].into_iter().flatten().min().unwrap_or(now);
        if at < known_since {
            return Err(HistoryError::NotKept { at, known_since });
        }
        let changes = self.netbox_changes(host, &present, Some(at)).await?;
        let changes =
            changes.iter().map(|change| &change.domain_event).filter(|event| is_about(event, scope));
        Ok((undo(present, changes, scope, host, at), known_since))
    }

    /// A page of at most `size` events that happened to an address or to a prefix that contains it, from the newest on or after a
    /// position. First comes the event log. The time before is read from NetBox's change log; it ends where the event log is known
    /// to have begun when it is first read, and stays the same for all later pages.
    pub async fn history(
        &self,
        scope: VrfScope,
        host: IpAddr,
        after: Option<&HistoryPosition>,
        size: usize,
    ) -> Result<HistoryPage, HistoryError> {
        let (now, networks) = (self.log.clock().now(), networks_containing(host));
        let continuous_since = self.log.journal().extent().await?.continuous_since;
        // Positions have microseconds, like the times of all events.
        let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        let mut until = continuous_since.unwrap_or(now);
        let oldest_change = self.client.oldest_object_change_time().await?;
        let known_since = [oldest_change, continuous_since].into_iter().flatten().min().unwrap_or(now);
        let mut page = HistoryPage { events: Vec::new(), known_since };
        let (before, last) = match after {
            None => (u64::MAX, None),
            Some(HistoryPosition::Log(token)) => (self.log.resume(token).await?, None),
            Some(HistoryPosition::Earlier { log, until: ends, entry }) => {
                until = *ends;
                let older = if log.sequence == 0 { 0 } else { self.log.resume(log).await? };
                (older, Some(*entry))
            }
        };
        let older = if last.is_some() {
            before
        } else {
            let limit = u32::try_from(size).unwrap_or(u32::MAX);
            let walk = LogWalk::Before(before);
            let read = self.log.journal().about_networks(scope, &networks, walk, limit).await?;
            let exhausted = read.len() < size;
            let mut older = None;
            for event in read {
                // What the log holds of an older time may have gaps, so it is put together with NetBox's change log.
                if event.recorded < until {
                    older = Some(event.sequence);
                    break;
                }
                let position = HistoryPosition::Log(self.log.token(event.sequence));
                page.events.push((HistoryEvent::Recorded(event), position));
            }
            match older {
                Some(older) => older,
                None if exhausted => 0,
                None => return Ok(page),
            }
        };
        // The oldest events: those that belong to the time before the log, and those that were recorded later.
        let done = |position: u64, read: &[Event]| {
            position >= older && read.iter().all(|event| event.domain_event.time >= until)
        };
        let events = self.events_about(&networks, scope, done).await?;
        let present = present(&self.cache.snapshot(), scope, host);
        let mut changes = self.netbox_changes(host, &present, None).await?;
        changes.retain(|change| is_about(&change.domain_event, scope));
        let entries = earlier(&events, older, changes, until);
        let rest = match last {
            Some(last) => entries.range(..last),
            None => entries.range(..),
        };
        let log = self.log.token(older);
        for (entry, event) in rest.rev().take(size - page.events.len()) {
            let position = HistoryPosition::Earlier { log: log.clone(), until, entry: *entry };
            page.events.push((event.clone(), position));
        }
        Ok(page)
    }

    /// The events about these networks, the oldest first. `done` is asked after each part that was read, with its last sequence,
    /// whether the rest can be left out.
    async fn events_about(
        &self,
        networks: &[Network],
        scope: VrfScope,
        done: impl Fn(u64, &[Event]) -> bool,
    ) -> Result<Vec<Event>, HistoryError> {
        let (mut events, mut position) = (Vec::new(), 0);
        loop {
            let walk = LogWalk::After(position);
            let read = self.log.journal().about_networks(scope, networks, walk, READ_AT_ONCE).await?;
            let Some(last) = read.last() else { return Ok(events) };
            position = last.sequence;
            let finished = done(position, &read);
            events.extend(read);
            if finished {
                return Ok(events);
            }
        }
    }

    /// The entries of NetBox's change log about the address and every prefix that may have contained it, the oldest first.
    async fn netbox_changes(
        &self,
        host: IpAddr,
        present: &AddressSnapshot,
        since: Option<Timestamp>,
    ) -> Result<Vec<LoggedByNetBox>, HistoryError> {
        let known: Vec<u64> = present.chain.iter().map(|prefix| prefix.id.0).collect();
        let prefixes = self.client.prefix_changes(networks_containing(host), known, since).await?;
        let known: Vec<u64> = present.records.iter().map(|address| address.id.0).collect();
        let addresses = self.client.address_changes(host, known, since).await?;
        let prefixes = prefixes.into_iter().map(|past| {
            let change = RecordChange { before: past.before.map(Arc::new), after: past.after.map(Arc::new) };
            let domain_event =
                DomainEvent { time: past.time, ..DomainEvent::prefix(change, None, past.time) };
            LoggedByNetBox { entry: past.id, object: past.object, domain_event }
        });
        let addresses = addresses.into_iter().map(|past| {
            let change = RecordChange { before: past.before.map(Arc::new), after: past.after.map(Arc::new) };
            let domain_event =
                DomainEvent { time: past.time, ..DomainEvent::address(change, None, past.time) };
            LoggedByNetBox { entry: past.id, object: past.object, domain_event }
        });
        let mut changes: Vec<LoggedByNetBox> = prefixes.chain(addresses).collect();
        changes.sort_by_key(|change| change.entry);
        Ok(changes)
    }
}

fn is_about(event: &DomainEvent, scope: VrfScope) -> bool {
    event.networks().iter().any(|(found, _)| *found == scope)
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
