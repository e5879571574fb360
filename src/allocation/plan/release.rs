//! Which records a release deletes. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::allocation::commands::ReleaseAddresses;
use crate::allocation::error::Error;
use crate::cache::Index;
use crate::ledger::{Intent, IntentKind, IntentStep};
use crate::model::Address;

/// The records that a release selects, or an error that lists every address without one. `target` is the intent of the allocation
/// that is released, if the ledger knows it, and `target_records` are its records as NetBox has them now.
pub fn selected(
    index: &Index,
    selection: &ReleaseAddresses,
    target: Option<&Intent>,
    target_records: &[Address],
) -> Result<Vec<Address>, Error> {
    match selection {
        ReleaseAddresses::Allocation(request) => {
            let known = target.is_some_and(|intent| {
                intent.step == IntentStep::Done
                    && matches!(intent.kind, IntentKind::Addresses | IntentKind::Assignment)
            });
            if target_records.is_empty() {
                let request = request.clone();
                return Err(if known {
                    Error::ReleasedSince { request }
                } else {
                    Error::AllocationNotFound { request }
                });
            }
            Ok(target_records.to_vec())
        }
        ReleaseAddresses::Addresses { scope, addresses, allow_foreign } => {
            let (mut found, mut missing, mut foreign) = (Vec::new(), Vec::new(), Vec::new());
            let mut shared: BTreeMap<IpAddr, Vec<u64>> = BTreeMap::new();
            for host in addresses {
                let records = index.addresses_at(*scope, *host);
                let ours: Vec<_> = records
                    .iter()
                    .filter(|record| record.allocation.is_some() && !record.is_in_pool())
                    .collect();
                match (records, ours.as_slice()) {
                    ([], _) => missing.push(*host),
                    // The other records of the address are other people's, such as the sites of an anycast address.
                    (_, [_, ..]) => found.extend(ours.into_iter().map(|record| Address::clone(record))),
                    (_, []) if !*allow_foreign => foreign.push(*host),
                    ([only], []) => found.push(Address::clone(only)),
                    (several, []) => {
                        shared.insert(*host, several.iter().map(|record| record.id.0).collect());
                    }
                }
            }
            if !missing.is_empty() {
                return Err(Error::AddressesNotFound { addresses: missing, scope: *scope });
            }
            if !foreign.is_empty() {
                return Err(Error::NotAllocatedHere { addresses: foreign });
            }
            if !shared.is_empty() {
                return Err(Error::SharedAddresses { records: shared });
            }
            Ok(found)
        }
    }
}
