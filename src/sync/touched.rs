//! The records that entries of the change log touch, and reading them again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::cache::{Batch, Index, Mention};
use crate::model::{Address, AddressId, IpRange, Prefix, PrefixId, Vrf};
use crate::netbox::{ChangeAction, Client, NetBoxResult, ObjectChange, ObjectKind};

/// The ids of the records to read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) prefixes: BTreeSet<u64>,
    pub(super) addresses: BTreeSet<u64>,
    pub(super) ranges: BTreeSet<u64>,
    pub(super) vrfs: BTreeSet<u64>,
    /// The times of deletions, by NetBox's clock.
    pub(super) prefix_deleted_at: BTreeMap<u64, Timestamp>,
    pub(super) address_deleted_at: BTreeMap<u64, Timestamp>,
}

/// The records that entries of the change log touch. A change of a tenant, role or tag touches every record that refers to it.
pub(super) fn touched(changes: &[ObjectChange], index: &Index) -> Touched {
    let mut touched = Touched::default();
    let (mut tenants, mut roles, mut tags) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for change in changes {
        if is_known(change, index) {
            continue;
        }
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
            (Some(ObjectKind::Prefix), ChangeAction::Delete) => {
                touched.prefix_deleted_at.insert(change.object, change.time);
            }
            (Some(ObjectKind::Address), ChangeAction::Delete) => {
                touched.address_deleted_at.insert(change.object, change.time);
            }
            _ => {}
        }
    }
    if !(tenants.is_empty() && roles.is_empty() && tags.is_empty()) {
        let (prefixes, addresses) = index.mentioning(|mention| match mention {
            Mention::Tenant(id) => tenants.contains(&id),
            Mention::Role(id) => roles.contains(&id),
            Mention::Tag(id) => tags.contains(&id),
        });
        touched.prefixes.extend(prefixes);
        touched.addresses.extend(addresses);
    }
    touched
}

/// Whether an entry is of the creation of a record that is in the index, such as one that this server has made itself.
fn is_known(change: &ObjectChange, index: &Index) -> bool {
    change.created_after().is_some_and(|at| match change.kind {
        Some(ObjectKind::Prefix) => index.knows_prefix(PrefixId(change.object), at),
        Some(ObjectKind::Address) => index.knows_address(AddressId(change.object), at),
        _ => false,
    })
}

/// Reads the records again. A record that NetBox does not return was deleted.
pub(super) async fn read_again(client: &Client, touched: &Touched) -> NetBoxResult<Batch> {
    let (prefixes, deleted_prefixes) = client.read_again::<Prefix>(&touched.prefixes).await?;
    let (addresses, deleted_addresses) = client.read_again::<Address>(&touched.addresses).await?;
    let (ranges, deleted_ranges) = client.read_again::<IpRange>(&touched.ranges).await?;
    let (vrfs, deleted_vrfs) = client.read_again::<Vrf>(&touched.vrfs).await?;
    Ok(Batch {
        prefixes,
        addresses,
        ranges,
        vrfs,
        deleted_prefixes,
        deleted_addresses,
        deleted_ranges,
        deleted_vrfs,
        prefix_deleted_at: touched.prefix_deleted_at.clone(),
        address_deleted_at: touched.address_deleted_at.clone(),
        ..Batch::default()
    })
}
