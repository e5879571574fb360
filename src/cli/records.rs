//! Leases and addresses as people read them.

use super::terminal::{TextTable, errln, print_facts};
use super::values;
use crate::rpc::proto::v1;

/// Prints all that a lease carries.
pub(crate) fn print_lease(lease: &v1::Lease) {
    print_facts(&[
        ("prefix", lease.prefix.clone()),
        ("prefix id", lease.prefix_id.to_string()),
        ("vrf", values::vrf(lease.vrf.as_ref())),
        ("owner", lease.owner.clone()),
        ("start", values::date(lease.start_date.as_ref())),
        ("expiry", values::date(lease.expiry_date.as_ref())),
        ("", values::days_left(lease)),
        ("notice by", values::date(lease.notice_date.as_ref())),
        ("LOA", lease.loa_reference.clone()),
        ("origin", values::asn(lease.origin_asn)),
        ("ROA", values::roa_status(lease)),
        ("IRR", values::irr_status(lease)),
        ("reputation", values::reputation(lease)),
        ("tenant", values::named(lease.tenant.as_ref())),
        ("description", lease.description.clone()),
    ]);
}

/// Prints addresses as a table.
pub(crate) fn print_addresses(addresses: &[v1::Address]) {
    let mut table = TextTable::new(&["address", "status", "dns name", "description", "allocation", "id"]);
    for address in addresses {
        let id = if address.id == 0 { "(not written)".to_owned() } else { address.id.to_string() };
        table.row([
            &address.address,
            &address.status,
            &address.dns_name,
            &address.description,
            &address.allocation_id,
            &id,
        ]);
    }
    table.print();
}

/// Notes on standard error that an answer comes from a cache that does not follow NetBox at the moment.
pub(crate) fn print_cache_note(cache: Option<&v1::CacheState>) {
    if let Some(cache) = cache.filter(|cache| !cache.live) {
        errln!(
            "note: NetBox is out of reach; this is from the cache, {} s old (as of {})",
            cache.age.unwrap_or_default().seconds,
            values::instant(cache.sync_time.as_ref())
        );
    }
}
