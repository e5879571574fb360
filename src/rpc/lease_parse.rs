//! Requests of LeaseService, parsed into commands, filters and orders.

use super::parse::{DESCRIPTION, NamedPrefix, Violations, given};
use super::problem::Problem;
use super::proto::v1;
use crate::cache::Cache;
use crate::lease::RegisterLease;
use crate::lease::search::{LeaseFilter, LeaseOrder, LeaseSortKey};
use crate::model::{Asn, Reputation, RoaStatus, Term};

/// Parses RegisterLeaseRequest and checks that the dates of the term are in order.
pub(super) fn register_lease(
    cache: &Cache,
    request: v1::RegisterLeaseRequest,
) -> Result<RegisterLease, Problem> {
    let mut violations = Violations::default();
    let network = violations.network("prefix", &request.prefix);
    if request.owner.trim().is_empty() {
        violations.add("owner", "is required: who holds the resource");
    }
    let term = Term {
        start: violations.date("start_date", request.start_date),
        expiry: violations.required_date("expiry_date", request.expiry_date),
        notice: violations.date("notice_date", request.notice_date),
    };
    violations.take("expiry_date", term.check());
    let owner = violations.text("owner", request.owner.trim().to_owned(), DESCRIPTION);
    let loa = violations.text("loa_reference", request.loa_reference, DESCRIPTION);
    let description = violations.text("description", request.description, DESCRIPTION);
    let tenant = violations.tenant(request.tenant.as_ref());
    let role = violations.slug("role", request.role);
    let tags = violations.slugs("tags", request.tags);
    let id = violations.request_id("request_id", &request.request_id);
    let scope = violations.scope(cache, request.vrf.as_ref());
    let parsed = network.zip(scope).zip(id).map(|((network, scope), request_id)| RegisterLease {
        network,
        scope,
        owner,
        term,
        loa_reference: given(&loa),
        // 0 is the only number that is not an ASN, and means that none is given.
        origin: Asn::try_from(request.origin_asn).ok(),
        description,
        tenant,
        role,
        tags,
        request: request_id,
    });
    violations.finish_with(parsed)
}

/// The oneof `key` of GetLeaseRequest.
pub(super) fn get_key(key: v1::get_lease_request::Key) -> NamedPrefix {
    match key {
        v1::get_lease_request::Key::PrefixId(id) => NamedPrefix::Id(id),
        v1::get_lease_request::Key::Prefix(text) => NamedPrefix::Prefix(text),
    }
}

/// The oneof `key` of RenewLeaseRequest.
pub(super) fn renew_key(key: v1::renew_lease_request::Key) -> NamedPrefix {
    match key {
        v1::renew_lease_request::Key::PrefixId(id) => NamedPrefix::Id(id),
        v1::renew_lease_request::Key::Prefix(text) => NamedPrefix::Prefix(text),
    }
}

/// The oneof `key` of EndLeaseRequest.
pub(super) fn end_key(key: v1::end_lease_request::Key) -> NamedPrefix {
    match key {
        v1::end_lease_request::Key::PrefixId(id) => NamedPrefix::Id(id),
        v1::end_lease_request::Key::Prefix(text) => NamedPrefix::Prefix(text),
    }
}

/// Parses `order_by`: a field, and `asc` or `desc` after it.
pub(super) fn order(violations: &mut Violations, text: &str) -> LeaseOrder {
    let mut words = text.split_whitespace();
    let key = match words.next() {
        None | Some("expiry_date") => LeaseSortKey::Expiry,
        Some("owner") => LeaseSortKey::Owner,
        Some("prefix") => LeaseSortKey::Prefix,
        Some(other) => {
            violations.add("order_by", format!("{other:?} is none of expiry_date, owner, prefix"));
            LeaseSortKey::Expiry
        }
    };
    let descending = match words.next() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(other) => {
            violations.add("order_by", format!("{other:?} is neither asc nor desc"));
            false
        }
    };
    if words.next().is_some() {
        violations.add("order_by", "takes one field");
    }
    LeaseOrder { key, descending }
}

/// Parses the filters of ListLeasesRequest.
pub(super) fn filter(
    violations: &mut Violations,
    cache: &Cache,
    request: &v1::ListLeasesRequest,
) -> LeaseFilter {
    LeaseFilter {
        owner: given(&request.owner),
        tenant: violations.tenant(request.tenant.as_ref()),
        expiring_before: violations.date("expires_before_date", request.expires_before_date),
        roa_status: roa_status(violations, request.roa_status),
        reputation: reputation(violations, request.reputation),
        scope: violations.scope_filter("vrf", cache, request.vrf.as_ref()),
    }
}

fn roa_status(violations: &mut Violations, number: i32) -> Option<RoaStatus> {
    match v1::RoaStatus::try_from(number) {
        Ok(v1::RoaStatus::Unspecified) => None,
        Ok(v1::RoaStatus::Valid) => Some(RoaStatus::Valid),
        Ok(v1::RoaStatus::Invalid) => Some(RoaStatus::Invalid),
        Ok(v1::RoaStatus::Unknown) => Some(RoaStatus::Unknown),
        Err(_) => {
            violations.add("roa_status", format!("{number} is not a value of RoaStatus"));
            None
        }
    }
}

fn reputation(violations: &mut Violations, number: i32) -> Option<Reputation> {
    match v1::Reputation::try_from(number) {
        Ok(v1::Reputation::Unspecified) => None,
        Ok(v1::Reputation::Clean) => Some(Reputation::Clean),
        Ok(v1::Reputation::Listed) => Some(Reputation::Listed),
        Ok(v1::Reputation::Watch) => Some(Reputation::Watch),
        Err(_) => {
            violations.add("reputation", format!("{number} is not a value of Reputation"));
            None
        }
    }
}
