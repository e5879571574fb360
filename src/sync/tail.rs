//! Following the change log: which records to read again, and reading them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::cache::{Batch, Index, Mention};
use crate::model::{Address, IpRange, Prefix, Vrf};
use crate::netbox::{Action, Change, Client, ObjectKind, Record, Result};

/// Ids to read again, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) prefixes: BTreeSet<u64>,
    pub(super) addresses: BTreeSet<u64>,
    pub(super) ranges: BTreeSet<u64>,
    pub(super) vrfs: BTreeSet<u64>,
    /// When prefixes and addresses were deleted, by NetBox's own clock.
    pub(super) prefix_gone_at: BTreeMap<u64, Timestamp>,
    pub(super) address_gone_at: BTreeMap<u64, Timestamp>,
}

/// What entries of the log touch. Pure. A tenant, role or tag that changed touches every record that mentions it.
pub(super) fn touched(changes: &[Change], index: &Index) -> Touched {
    let mut touched = Touched::default();
    let (mut tenants, mut roles, mut tags) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for change in changes {
        let ids = match change.kind {
            Some(ObjectKind::Prefix) => &mut touched.prefixes,
            Some(ObjectKind::Address) => &mut touched.addresses,
            Some(ObjectKind::IpRange) => &mut touched.ranges,
            Some(ObjectKind::Vrf) => &mut touched.vrfs,
            Some(ObjectKind::Tenant) => &mut tenants,
            Some(ObjectKind::Role) => &mut roles,
            Some(ObjectKind::Tag) => &mut tags,
            None => continue,
        };
        ids.insert(change.object);
        match (change.kind, change.action) {
            (Some(ObjectKind::Prefix), Action::Delete) => {
                touched.prefix_gone_at.insert(change.object, change.time);
            }
            (Some(ObjectKind::Address), Action::Delete) => {
                touched.address_gone_at.insert(change.object, change.time);
            }
            _ => {}
        }
    }
    if !(tenants.is_empty() && roles.is_empty() && tags.is_empty()) {
        let (prefixes, addresses) = index.mentioning(|mention| match mention {
            Mention::Tenant(id) => tenants.contains(&id),
            Mention::Role(id) => roles.contains(&id),
            Mention::Tag(id, _) => tags.contains(&id),
        });
        touched.prefixes.extend(prefixes);
        touched.addresses.extend(addresses);
    }
    touched
}

/// Reads the records again. What NetBox no longer has is gone.
pub(super) async fn read_again(client: &Client, touched: &Touched) -> Result<Batch> {
    let (prefixes, gone_prefixes) = again::<Prefix>(client, &touched.prefixes).await?;
    let (addresses, gone_addresses) = again::<Address>(client, &touched.addresses).await?;
    let (ranges, gone_ranges) = again::<IpRange>(client, &touched.ranges).await?;
    let (vrfs, gone_vrfs) = again::<Vrf>(client, &touched.vrfs).await?;
    Ok(Batch {
        prefixes,
        addresses,
        ranges,
        vrfs,
        gone_prefixes,
        gone_addresses,
        gone_ranges,
        gone_vrfs,
        prefix_gone_at: touched.prefix_gone_at.clone(),
        address_gone_at: touched.address_gone_at.clone(),
    })
}

async fn again<R: Record>(client: &Client, ids: &BTreeSet<u64>) -> Result<(Vec<R>, Vec<u64>)> {
    let asked: Vec<u64> = ids.iter().copied().collect();
    let found: Vec<R> = client.by_ids(&asked).await?;
    let there: BTreeSet<u64> = found.iter().map(Record::id).collect();
    Ok((found, asked.into_iter().filter(|id| !there.contains(id)).collect()))
}
