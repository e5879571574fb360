//! Requests of LeaseService, parsed into commands, filters and orders.

use super::convert;
use super::parse::{DESCRIPTION, NamedPrefix, Violations, given};
use super::problem::Problem;
use super::proto::v1;
use crate::allocation::LeaseCommand;
use crate::cache::{Cache, LeaseOrder, LeaseSortKey, PrefixKey};
use crate::lease::search::LeaseFilter;
use crate::lease::{EndLease, RegisterLease, RenewLease, UpdateLease};
use crate::model::{Asn, PrefixId, Reputation, RoaStatus, TenantKey, Term, VrfScope};
use crate::netbox::{FieldNames, ValueChange};

/// Parses RegisterLeaseRequest and checks that the dates of the term are in order.
pub(super) fn register_lease(
    cache: &Cache,
    own: &FieldNames,
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
    let custom_fields = violations.custom_fields("custom_fields", request.custom_fields, own);
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
        custom_fields,
        request: request_id,
    });
    violations.finish_with(parsed)
}

/// Parses UpdateLeaseRequest into the prefix, the changes of the fields that its mask names, and the version that was read.
pub(super) fn update_lease(
    cache: &Cache,
    request: v1::UpdateLeaseRequest,
) -> Result<LeaseCommand<UpdateLease>, Problem> {
    let mut violations = Violations::default();
    let paths = request.update_mask.unwrap_or_default().paths;
    let id = violations.request_id("request_id", &request.request_id);
    let Some(lease) = request.lease else {
        violations.add("lease", "is required");
        check_mask(&mut violations, &paths);
        return violations.finish_with(None);
    };
    let key = lease_key(&mut violations, cache, &lease);
    let read = violations.take("lease.etag", convert::revision(&lease.etag)).flatten();
    let changed = check_mask(&mut violations, &paths);
    let mut command = UpdateLease::default();
    for field in changed {
        match field {
            UpdatableField::Owner => {
                let owner = lease.owner.trim().to_owned();
                if owner.is_empty() {
                    violations.add("lease.owner", "cannot be cleared: a lease has an owner");
                }
                command.owner = Some(violations.text("lease.owner", owner, DESCRIPTION));
            }
            UpdatableField::StartDate => {
                let date = violations.date("lease.start_date", lease.start_date);
                command.start = set_or_clear(date);
            }
            UpdatableField::NoticeDate => {
                let date = violations.date("lease.notice_date", lease.notice_date);
                command.notice = set_or_clear(date);
            }
            UpdatableField::LoaReference => {
                let loa = violations.text("lease.loa_reference", lease.loa_reference.clone(), DESCRIPTION);
                command.loa_reference = set_or_clear(given(&loa));
            }
            // 0 is the only number that is not an ASN.
            UpdatableField::OriginAsn => command.origin = set_or_clear(Asn::try_from(lease.origin_asn).ok()),
            UpdatableField::Description => {
                let text = violations.text("lease.description", lease.description.clone(), DESCRIPTION);
                command.description = Some(text);
            }
            UpdatableField::Tenant => {
                command.tenant = set_or_clear(tenant_named(&mut violations, lease.tenant.as_ref()));
            }
        }
    }
    let (key, request) = violations.finish_with(key.zip(id))?;
    Ok(LeaseCommand { key, change: command, read, request })
}

/// Parses RenewLeaseRequest.
pub(super) fn renew_lease(
    cache: &Cache,
    request: v1::RenewLeaseRequest,
) -> Result<LeaseCommand<RenewLease>, Problem> {
    let mut violations = Violations::default();
    let key = violations.prefix_key(cache, request.key.map(renew_key), request.vrf.as_ref());
    let expiry = violations.required_date("expiry_date", request.expiry_date);
    let notice = violations.date("notice_date", request.notice_date);
    let loa = violations.text("loa_reference", request.loa_reference, DESCRIPTION);
    let read = violations.take("etag", convert::revision(&request.etag)).flatten();
    let id = violations.request_id("request_id", &request.request_id);
    let ((key, expiry), id) = violations.finish_with(key.zip(expiry).zip(id))?;
    let change = RenewLease {
        expiry,
        notice,
        loa_reference: given(&loa),
        allow_earlier: request.allow_earlier_expiry,
    };
    Ok(LeaseCommand { key, change, read, request: id })
}

/// Parses EndLeaseRequest.
pub(super) fn end_lease(
    cache: &Cache,
    request: &v1::EndLeaseRequest,
) -> Result<LeaseCommand<EndLease>, Problem> {
    let mut violations = Violations::default();
    let key = violations.prefix_key(cache, request.key.clone().map(end_key), request.vrf.as_ref());
    let read = violations.take("etag", convert::revision(&request.etag)).flatten();
    let id = violations.request_id("request_id", &request.request_id);
    let (key, id) = violations.finish_with(key.zip(id))?;
    let change =
        EndLease { allow_in_use: request.allow_addresses_in_use, delete_prefix: request.delete_prefix };
    Ok(LeaseCommand { key, change, read, request: id })
}

/// The fields of a lease that UpdateLease changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UpdatableField {
    Owner,
    StartDate,
    NoticeDate,
    LoaReference,
    OriginAsn,
    Description,
    Tenant,
}

impl UpdatableField {
    const ALL: [(&'static str, Self); 7] = [
        ("owner", Self::Owner),
        ("start_date", Self::StartDate),
        ("notice_date", Self::NoticeDate),
        ("loa_reference", Self::LoaReference),
        ("origin_asn", Self::OriginAsn),
        ("description", Self::Description),
        ("tenant", Self::Tenant),
    ];
}

/// The fields that a mask names. Each path that is wrong is a violation, and so is a mask without paths.
fn check_mask(violations: &mut Violations, paths: &[String]) -> Vec<UpdatableField> {
    const FIELD: &str = "update_mask";
    let names = || UpdatableField::ALL.map(|(name, _)| name).join(", ");
    let mut fields = Vec::new();
    if paths.is_empty() {
        violations.add(FIELD, format!("is required: at least one of {}", names()));
    }
    for path in paths {
        let found = UpdatableField::ALL.into_iter().find(|(name, _)| name == path);
        match (path.as_str(), found) {
            (_, Some((_, field))) if fields.contains(&field) => {
                violations.add(FIELD, format!("names {path:?} twice"));
            }
            (_, Some((_, field))) => fields.push(field),
            ("expiry_date", None) => {
                violations.add(FIELD, "names \"expiry_date\": RenewLease moves the expiry");
            }
            ("*", None) => {
                violations.add(FIELD, format!("\"*\" is not allowed: name the fields, out of {}", names()));
            }
            (_, None) => violations.add(FIELD, format!("names {path:?}, which is none of {}", names())),
        }
    }
    fields
}

/// The prefix that a lease names: by its id, or by its CIDR and the id of its VRF.
fn lease_key(violations: &mut Violations, cache: &Cache, lease: &v1::Lease) -> Option<PrefixKey> {
    if lease.prefix_id != 0 {
        return Some(PrefixKey::Id(PrefixId(lease.prefix_id)));
    }
    if lease.prefix.is_empty() {
        violations.add("lease", "names no prefix: prefix_id or prefix is required");
        return None;
    }
    let network = violations.network("lease.prefix", &lease.prefix);
    let scope = match &lease.vrf {
        None => Some(VrfScope::Global),
        Some(vrf) if vrf.id == 0 => {
            violations.add("lease.vrf", "id is required: here a VRF is named by its id only");
            None
        }
        Some(vrf) => {
            let named = v1::VrfRef { r#ref: Some(v1::vrf_ref::Ref::Id(vrf.id)) };
            violations.scope_filter("lease.vrf", cache, Some(&named))
        }
    };
    network.zip(scope).map(|(network, scope)| PrefixKey::Network(scope, network))
}

/// The tenant that a lease names: by exactly one of id, slug and name. `None` if there is no tenant, or if it is refused.
fn tenant_named(violations: &mut Violations, tenant: Option<&v1::NamedRef>) -> Option<TenantKey> {
    let v1::NamedRef { id, slug, name } = tenant?;
    match (*id, slug.as_str(), name.as_str()) {
        (id @ 1.., "", "") => Some(TenantKey::Id(id)),
        (0, slug, "") if !slug.is_empty() => {
            violations.slug("lease.tenant.slug", slug.to_owned()).map(TenantKey::Slug)
        }
        (0, "", name) if !name.is_empty() => Some(TenantKey::Name(name.to_owned())),
        _ => {
            violations.add(
                "lease.tenant",
                "is named by exactly one of id, slug and name; leave it out to clear it",
            );
            None
        }
    }
}

/// The change of a field that a mask names: an absent value clears it.
fn set_or_clear<T>(given: Option<T>) -> ValueChange<T> {
    given.map_or(ValueChange::Clear, ValueChange::Set)
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
