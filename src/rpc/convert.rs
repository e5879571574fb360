//! Records of NetBox and leases as messages. What other services need besides is in the `*_convert` files.

use jiff::Timestamp;
use jiff::civil::Date;

use super::custom_fields::custom_fields;
use super::parse::View;
use super::proto;
use super::proto::v1;
use crate::allocation::Utilization;
use crate::cache::{Cache, Index};
use crate::model::{
    Address, Failure, Lease, NamedRef, Prefix, RecordState, Reputation, Revision, RoaStatus, TermPhase, Vrf,
    VrfScope,
};

pub(super) fn date(date: Date) -> proto::Date {
    proto::Date { year: date.year().into(), month: date.month().into(), day: date.day().into() }
}

pub(super) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

pub(super) fn duration(took: std::time::Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(took.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(took.subsec_nanos()).unwrap_or(0),
    }
}

/// The version of a record, as text that is opaque to clients. Empty if NetBox gives no `last_updated`.
pub(super) fn etag(revision: &Revision) -> String {
    revision.instant().map(|at| format!("{:x}", at.as_microsecond())).unwrap_or_default()
}

/// Parses a text of [`etag`]; `None` if it is empty.
pub(super) fn revision(etag: &str) -> Result<Option<Revision>, &'static str> {
    if etag.is_empty() {
        return Ok(None);
    }
    i64::from_str_radix(etag, 16)
        .ok()
        .and_then(|micros| Timestamp::from_microsecond(micros).ok())
        .map(|at| Some(Revision(Some(at))))
        .ok_or("is not an etag of this server: use the one of the lease as last read")
}

pub(super) fn roa_status(status: Option<RoaStatus>) -> v1::RoaStatus {
    match status {
        None => v1::RoaStatus::Unspecified,
        Some(RoaStatus::Valid) => v1::RoaStatus::Valid,
        Some(RoaStatus::Invalid) => v1::RoaStatus::Invalid,
        Some(RoaStatus::Unknown) => v1::RoaStatus::Unknown,
    }
}

/// The verdict of the IRR, as the custom field records it.
pub(super) fn irr_status(registered: Option<bool>) -> v1::IrrStatus {
    match registered {
        None => v1::IrrStatus::Unspecified,
        Some(true) => v1::IrrStatus::Registered,
        Some(false) => v1::IrrStatus::Unregistered,
    }
}

pub(super) fn reputation(reputation: Option<Reputation>) -> v1::Reputation {
    match reputation {
        None => v1::Reputation::Unspecified,
        Some(Reputation::Clean) => v1::Reputation::Clean,
        Some(Reputation::Listed) => v1::Reputation::Listed,
        Some(Reputation::Watch) => v1::Reputation::Watch,
    }
}

fn phase(phase: TermPhase) -> v1::LeasePhase {
    match phase {
        TermPhase::Unrecorded => v1::LeasePhase::Unspecified,
        TermPhase::Upcoming => v1::LeasePhase::Upcoming,
        TermPhase::InForce => v1::LeasePhase::InForce,
        TermPhase::Expired => v1::LeasePhase::Expired,
    }
}

fn record_view(view: View) -> v1::RecordView {
    match view {
        View::Basic => v1::RecordView::Basic,
        View::Full => v1::RecordView::Full,
    }
}

fn named(named: &NamedRef) -> v1::NamedRef {
    v1::NamedRef { id: named.id, name: named.name.to_string(), slug: named.slug.to_string() }
}

pub(super) fn vrf(index: &Index, scope: VrfScope) -> Option<v1::Vrf> {
    let id = scope.vrf()?;
    // A record can be in the cache before its VRF is. Then only the id of the VRF is known.
    let unread = v1::Vrf { id: id.0, ..v1::Vrf::default() };
    Some(index.vrf(id).map_or(unread, |vrf| vrf_record(vrf)))
}

/// NetBox's record of a VRF.
pub(super) fn vrf_record(vrf: &Vrf) -> v1::Vrf {
    v1::Vrf { id: vrf.id.0, name: vrf.name.clone(), rd: vrf.rd.clone().unwrap_or_default() }
}

/// A lease and the prefix that carries it. Its phase and days left are those of `today`.
pub(super) fn lease(index: &Index, prefix: &Prefix, lease: &Lease, today: Date) -> v1::Lease {
    v1::Lease {
        prefix_id: prefix.id.0,
        prefix: prefix.network.to_string(),
        vrf: vrf(index, prefix.scope),
        owner: lease.owner.clone().unwrap_or_default(),
        start_date: lease.term.start.map(date),
        expiry_date: lease.term.expiry.map(date),
        notice_date: lease.term.notice.map(date),
        loa_reference: lease.loa_reference.clone().unwrap_or_default(),
        origin_asn: lease.origin.map_or(0, Into::into),
        roa_status: roa_status(lease.roa_status).into(),
        roa_check_time: lease.roa_checked.map(timestamp),
        irr_status: irr_status(lease.irr_registered).into(),
        reputation: reputation(lease.reputation).into(),
        reputation_check_time: lease.reputation_checked.map(timestamp),
        phase: phase(lease.term.phase(today)).into(),
        days_left: lease.term.days_left(today),
        tenant: prefix.tenant.as_ref().map(named),
        description: prefix.description.clone(),
        etag: etag(&prefix.revision),
    }
}

/// The lease that a prefix itself carries. Its phase and days left are those of `today`.
pub(super) fn own_lease(index: &Index, prefix: &Prefix, today: Date) -> Option<v1::Lease> {
    prefix.lease.as_deref().map(|carried| lease(index, prefix, carried, today))
}

/// A prefix. The phase and days left of its lease are those of `today`.
pub(super) fn prefix(index: &Index, prefix: &Prefix, today: Date, view: View) -> v1::Prefix {
    v1::Prefix {
        id: prefix.id.0,
        prefix: prefix.network.to_string(),
        vrf: vrf(index, prefix.scope),
        status: prefix.status.clone(),
        is_pool: prefix.is_pool,
        mark_utilized: prefix.mark_utilized,
        tenant: prefix.tenant.as_ref().map(named),
        role: prefix.role.as_ref().map(named),
        tags: if view == View::Full { prefix.tags.iter().map(named).collect() } else { Vec::new() },
        description: prefix.description.clone(),
        lease: own_lease(index, prefix, today),
        allocation_id: prefix.allocation.as_ref().map(ToString::to_string).unwrap_or_default(),
        custom_fields: if view == View::Full { custom_fields(&prefix.custom_fields) } else { None },
        update_time: prefix.revision.instant().map(timestamp),
        view: record_view(view).into(),
    }
}

/// A record of an address.
pub(super) fn address(index: &Index, address: &Address, view: View) -> v1::Address {
    v1::Address {
        id: address.id.0,
        address: address.interface.to_string(),
        vrf: vrf(index, address.scope),
        status: address.status.clone(),
        role: address.role.clone().unwrap_or_default(),
        tenant: address.tenant.as_ref().map(named),
        tags: if view == View::Full { address.tags.iter().map(named).collect() } else { Vec::new() },
        dns_name: address.dns_name.clone(),
        description: address.description.clone(),
        allocation_id: address.allocation.as_ref().map(ToString::to_string).unwrap_or_default(),
        custom_fields: if view == View::Full { custom_fields(&address.custom_fields) } else { None },
        update_time: address.revision.instant().map(timestamp),
        view: record_view(view).into(),
        record_state: record_state(address.record_state).into(),
    }
}

/// Whether NetBox's record says what is shown.
pub(super) fn record_state(state: RecordState) -> v1::RecordState {
    match state {
        RecordState::Recorded => v1::RecordState::Unspecified,
        RecordState::Pending => v1::RecordState::Pending,
    }
}

/// The longest message of a failure, in characters. It may quote a peer, and an answer without pages shows many failures.
const FAILURE_CHARS: usize = 2_000;

/// A failure, as states show it.
pub(super) fn failure(mut failure: Failure) -> v1::Failure {
    if let Some((end, _)) = failure.message.char_indices().nth(FAILURE_CHARS) {
        failure.message.truncate(end);
    }
    v1::Failure {
        reason: failure.reason.to_owned(),
        message: failure.message,
        fail_time: failure.time.map(timestamp),
    }
}

/// How the addresses of a prefix are used. A count that the field cannot hold is left out.
pub(super) fn utilization(used: &Utilization) -> v1::Utilization {
    let count = |count: u128| u64::try_from(count).ok();
    v1::Utilization {
        total_count: count(used.total),
        recorded_count: count(used.recorded),
        in_range_count: count(used.in_ranges),
        in_child_prefix_count: count(used.in_child_prefixes),
        not_assignable_count: count(used.not_assignable),
        quarantined_count: count(used.quarantined),
        free_count: count(used.free),
        largest_free_prefix_length: used.largest_free_prefix_length.map(Into::into),
        pooled_count: count(used.pooled),
    }
}

/// How old answers from the cache are at the instant `now`.
pub(super) fn cache_state(cache: &Cache, now: Timestamp) -> v1::CacheState {
    let freshness = cache.freshness();
    let synced = freshness.synced_at();
    // A clock that was set back does not make the cache younger than fresh.
    let age = synced.map(|at| std::time::Duration::try_from(now.duration_since(at)).unwrap_or_default());
    v1::CacheState { sync_time: synced.map(timestamp), age: age.map(duration), live: freshness.is_live() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_etag_is_parsed_back(micros in 0i64..4_000_000_000_000_000) {
            let revision = Revision(Timestamp::from_microsecond(micros).ok());
            prop_assert_eq!(self::revision(&etag(&revision)).unwrap(), Some(revision));
        }

        #[test]
        fn no_etag_causes_a_panic(text in ".*") {
            let _ = revision(&text);
        }
    }
}
