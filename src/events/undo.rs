//! What NetBox held for an address at an instant: the present state, with the changes since undone. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{Address, DomainEvent, Prefix, RecordChange, Subject, VrfScope};

/// What NetBox holds, or held at an instant, for an address.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddressSnapshot {
    /// The prefixes that contain the address, the most specific last.
    pub chain: Vec<Arc<Prefix>>,
    /// The records of the address itself.
    pub records: Vec<Arc<Address>>,
}

/// The state at an instant, from the present state and the changes since (the oldest first): each record is as it was before its
/// first change after the instant. A record without such a change is as it is now.
pub(super) fn undo<'a>(
    present: AddressSnapshot,
    changes: impl Iterator<Item = &'a DomainEvent>,
    scope: VrfScope,
    host: IpAddr,
    at: Timestamp,
) -> AddressSnapshot {
    let mut prefixes: BTreeMap<u64, Option<Arc<Prefix>>> =
        present.chain.into_iter().map(|prefix| (prefix.id.0, Some(prefix))).collect();
    let mut addresses: BTreeMap<u64, Option<Arc<Address>>> =
        present.records.into_iter().map(|address| (address.id.0, Some(address))).collect();
    // The first change of each record after the instant.
    let mut first_prefix: BTreeMap<u64, (Timestamp, &RecordChange<Prefix>)> = BTreeMap::new();
    let mut first_address: BTreeMap<u64, (Timestamp, &RecordChange<Address>)> = BTreeMap::new();
    for domain_event in changes.filter(|domain_event| domain_event.time > at) {
        match &domain_event.subject {
            Subject::Prefix(change) => {
                if let Some(latest) = change.latest() {
                    keep_earliest(&mut first_prefix, latest.id.0, domain_event.time, change);
                }
            }
            Subject::Address(change) => {
                if let Some(latest) = change.latest() {
                    keep_earliest(&mut first_address, latest.id.0, domain_event.time, change);
                }
            }
            Subject::Term(_) | Subject::Verdict(_) | Subject::Sync(_) | Subject::Completion(_) => {}
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
        .filter(|prefix| prefix.scope == scope && prefix.network.contains_address(host))
        .collect();
    chain.sort_by_key(|prefix| (prefix.network.length(), prefix.id));
    let records = addresses
        .into_values()
        .flatten()
        .filter(|address| address.scope == scope && address.host() == host)
        .collect();
    AddressSnapshot { chain, records }
}

fn keep_earliest<'a, T>(
    first: &mut BTreeMap<u64, (Timestamp, &'a RecordChange<T>)>,
    id: u64,
    time: Timestamp,
    change: &'a RecordChange<T>,
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
    use crate::model::PrefixId;
    use proptest::prelude::*;

    const NETWORKS: [&str; 4] = ["203.0.113.0/24", "203.0.113.0/28", "203.0.113.128/25", "198.51.100.0/24"];

    fn prefix(id: u64, network: usize, words: u8) -> Arc<Prefix> {
        let network = NETWORKS[network].parse().unwrap();
        let bare = Prefix::bare(PrefixId(id), network, VrfScope::Global);
        Arc::new(Prefix { description: words.to_string(), ..bare })
    }

    fn second(second: usize) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + i64::try_from(second).unwrap()).unwrap()
    }

    fn containing(world: &BTreeMap<u64, Arc<Prefix>>, host: IpAddr) -> Vec<Arc<Prefix>> {
        let mut chain: Vec<_> =
            world.values().filter(|prefix| prefix.network.contains_address(host)).cloned().collect();
        chain.sort_by_key(|prefix| (prefix.network.length(), prefix.id));
        chain
    }

    proptest! {
        /// Whatever happened to a handful of records (created, changed, moved to another network, deleted), undoing it gives
        /// the state of each second.
        #[test]
        fn undoing_the_changes_gives_the_state_of_each_second(steps in prop::collection::vec((0u64..4, 0usize..4, any::<u8>(), 0u8..4), 1..60)) {
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
                    let domain_event = DomainEvent::prefix(RecordChange { before, after }, None, second(nth + 1));
                    changes.push(DomainEvent { time: second(nth + 1), ..domain_event });
                }
                worlds.push(world.clone());
            }
            for (nth, then) in worlds.iter().enumerate() {
                let present = AddressSnapshot { chain: containing(&world, host), records: Vec::new() };
                let found = undo(present, changes.iter(), VrfScope::Global, host, second(nth));
                prop_assert_eq!(found.chain, containing(then, host));
            }
        }
    }
}
