//! Leases, prefixes and addresses as people read them.

use super::output::OutputArgs;
use super::terminal::{TextTable, errln, print_facts};
use super::values;
use crate::rpc::proto::v1;

/// Prints all that a lease carries.
pub(crate) fn print_lease(lease: &v1::Lease) {
    print_facts(&[
        ("prefix", lease.prefix.clone()),
        ("prefix id", values::id(lease.prefix_id)),
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

/// The name of a lease for `-o name`: the prefix that carries it.
pub(crate) fn lease_name(lease: Option<&v1::Lease>) -> Option<String> {
    lease.map(|lease| lease.prefix.clone())
}

/// Prints prefixes as a table.
pub(crate) fn print_prefixes(output: OutputArgs, prefixes: &[v1::Prefix]) {
    let mut table = TextTable::new(&[
        "PREFIX",
        "VRF",
        "STATUS",
        "ROLE",
        "TENANT",
        "LEASE-OWNER",
        "EXPIRY",
        "ID",
        "DESCRIPTION",
    ]);
    for prefix in prefixes {
        let lease = prefix.lease.as_ref();
        table.row([
            prefix.prefix.clone(),
            values::vrf(prefix.vrf.as_ref()),
            prefix.status.clone(),
            values::named(prefix.role.as_ref()),
            values::named(prefix.tenant.as_ref()),
            lease.map(|lease| lease.owner.clone()).unwrap_or_default(),
            values::date(lease.and_then(|lease| lease.expiry_date.as_ref())),
            values::id(prefix.id),
            prefix.description.clone(),
        ]);
    }
    output.print_table(&table);
}

/// Prints addresses as a table.
pub(crate) fn print_addresses(output: OutputArgs, addresses: &[v1::Address]) {
    let mut table = TextTable::new(&["ADDRESS", "STATUS", "DNS-NAME", "ALLOCATION", "ID", "DESCRIPTION"]);
    for address in addresses {
        table.row([
            address.address.clone(),
            address.status.clone(),
            address.dns_name.clone(),
            address.allocation_id.clone(),
            values::id(address.id),
            address.description.clone(),
        ]);
    }
    output.print_table(&table);
}

/// Notes on standard error what a write did beside its answer on standard output.
pub(crate) fn print_write_note(validate_only: bool, repeated: bool) {
    if validate_only {
        errln!("note: nothing was written (--validate-only)");
    } else if repeated {
        errln!("note: this request was carried out before; nothing was written now");
    }
}

/// Notes on standard error that addresses come from a pool, and that NetBox's records do not say so yet.
pub(crate) fn print_pool_note(state: v1::RecordState) {
    if state == v1::RecordState::Pending {
        errln!("note: these come from a pool; NetBox's records say whose they are in a moment");
    }
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
