//! Fields of requests, parsed into types that cannot hold a wrong value. Every violation is noted with its field, so that a
//! client learns all of them at once.

use std::fmt::Display;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;

use super::problem::Problem;
use super::proto::{self, v1};
use crate::cache::{Cache, PrefixKey, VrfKey};
use crate::model::{DnsName, Network, PrefixId, RequestId, TenantKey, VrfScope, parse_host};

/// The longest description that NetBox takes, in characters. Owners and LOA references keep to it as well.
pub(super) const DESCRIPTION: usize = 200;

/// The rows of a page for a request that sets no page_size.
const DEFAULT_PAGE_SIZE: usize = 100;

/// The most rows of any page.
const MAX_PAGE_SIZE: usize = 1000;

/// How much of each prefix and address an answer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Without tags and custom fields, and in a chain without the lease of each prefix.
    Basic,
    /// Everything.
    Full,
}

/// How a request names a prefix: the same oneof in several messages.
pub(super) enum NamedPrefix {
    Id(u64),
    Prefix(String),
}

/// The violations of one request, collected while it is parsed. A method that notes a violation returns `None` or some valid value;
/// [`Violations::finish`] then refuses the request.
#[derive(Debug, Default)]
pub(super) struct Violations {
    found: Vec<(String, String)>,
    /// The first name that is well formed and names nothing. It refuses the request only if nothing is malformed.
    unresolved: Option<Problem>,
}

impl Violations {
    /// Notes that a field is wrong.
    pub(super) fn add(&mut self, field: impl Into<String>, why: impl Display) {
        self.found.push((field.into(), why.to_string()));
    }

    /// The value, or `None` and a note with the text of the error.
    pub(super) fn take<T, E: Display>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|why| self.add(field, why)).ok()
    }

    /// Refuses the request if anything was noted.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.unresolved {
            _ if !self.found.is_empty() => Err(Problem::invalid(self.found)),
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    /// The parsed request, unless anything was noted.
    pub(super) fn finish_with<T>(self, parsed: Option<T>) -> Result<T, Problem> {
        self.finish()?;
        // A parser that returns `None` has noted why. Otherwise the defect is ours.
        parsed.ok_or_else(|| Problem::internal("a request was neither parsed nor refused"))
    }

    /// A required prefix in CIDR notation.
    pub(super) fn network(&mut self, field: &str, text: &str) -> Option<Network> {
        if text.is_empty() {
            self.add(field, "is required: a prefix in CIDR notation such as 203.0.113.0/24");
            return None;
        }
        self.take(field, text.parse::<Network>())
    }

    /// A prefix that may be left out.
    pub(super) fn optional_network(&mut self, field: &str, text: &str) -> Option<Network> {
        if text.is_empty() { None } else { self.network(field, text) }
    }

    /// A required address without a mask.
    pub(super) fn host(&mut self, field: &str, text: &str) -> Option<IpAddr> {
        if text.is_empty() {
            self.add(field, "is required: an address such as 203.0.113.5");
            return None;
        }
        self.take(field, parse_host(text))
    }

    /// A list of addresses without masks. Empty texts are violations.
    pub(super) fn hosts(&mut self, field: &str, texts: &[String]) -> Vec<IpAddr> {
        let hosts = texts.iter().enumerate();
        hosts.filter_map(|(index, text)| self.host(&format!("{field}[{index}]"), text)).collect()
    }

    /// A list of prefixes and single addresses.
    pub(super) fn networks(&mut self, field: &str, texts: &[String]) -> Vec<Network> {
        let mut found = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let parsed = match text.parse::<IpAddr>() {
                Ok(address) => Ok(Network::host(address)),
                Err(_) => text.parse::<Network>(),
            };
            found.extend(self.take(&format!("{field}[{index}]"), parsed));
        }
        found
    }

    /// The scope of a request about one prefix or address: the global table if it names no VRF.
    pub(super) fn scope(&mut self, cache: &Cache, vrf: Option<&v1::VrfRef>) -> Option<VrfScope> {
        if vrf.is_none() { Some(VrfScope::Global) } else { self.scope_filter("vrf", cache, vrf) }
    }

    /// The scope that a list is limited to; `None` if it is not, or if the name is refused.
    pub(super) fn scope_filter(
        &mut self,
        field: &str,
        cache: &Cache,
        vrf: Option<&v1::VrfRef>,
    ) -> Option<VrfScope> {
        use v1::vrf_ref::Ref;
        let key = match vrf?.r#ref.as_ref() {
            Some(Ref::Id(id)) => VrfKey::Scope(VrfScope::from_number(*id)),
            Some(Ref::Name(name)) if !name.is_empty() => VrfKey::Name(name.clone()),
            Some(Ref::Rd(rd)) if !rd.is_empty() => VrfKey::Rd(rd.clone()),
            Some(_) | None => {
                self.add(field, "names no VRF: id, name or rd is required");
                return None;
            }
        };
        let resolved = match (cache.ready_read(), key) {
            (Ok(index), key) => index.resolve_vrf(&key).map_err(Problem::from),
            // An id needs no cache to be understood. A handler that reads the cache refuses the call itself.
            (Err(_), VrfKey::Scope(scope)) => Ok(scope),
            (Err(not_ready), VrfKey::Name(_) | VrfKey::Rd(_)) => Err(not_ready.into()),
        };
        resolved.map_err(|problem| self.unresolved.get_or_insert(problem)).ok()
    }

    /// A tenant that may be left out.
    pub(super) fn tenant(&mut self, tenant: Option<&v1::TenantRef>) -> Option<TenantKey> {
        use v1::tenant_ref::Ref;
        match tenant?.r#ref.as_ref() {
            Some(Ref::Id(id)) if *id != 0 => Some(TenantKey::Id(*id)),
            Some(Ref::Slug(slug)) if !slug.is_empty() => {
                self.slug("tenant.slug", slug.clone()).map(TenantKey::Slug)
            }
            Some(Ref::Name(name)) if !name.is_empty() => Some(TenantKey::Name(name.clone())),
            Some(_) | None => {
                self.add("tenant", "names no tenant: id, slug or name is required");
                None
            }
        }
    }

    /// How much of each record to answer.
    pub(super) fn view(&mut self, number: i32, unless_set: View) -> View {
        match v1::RecordView::try_from(number) {
            Ok(v1::RecordView::Unspecified) => unless_set,
            Ok(v1::RecordView::Basic) => View::Basic,
            Ok(v1::RecordView::Full) => View::Full,
            Err(_) => {
                self.add("view", format!("{number} is not a value of RecordView"));
                unless_set
            }
        }
    }

    /// A required prefix, named by its id (field `prefix_id`) or by scope and CIDR (field `prefix`). The VRF is ignored with an id.
    pub(super) fn prefix_key(
        &mut self,
        cache: &Cache,
        named: Option<NamedPrefix>,
        vrf: Option<&v1::VrfRef>,
    ) -> Option<PrefixKey> {
        match named {
            Some(NamedPrefix::Id(0)) => {
                self.add("prefix_id", "is required and must not be 0");
                None
            }
            Some(NamedPrefix::Id(id)) => Some(PrefixKey::Id(PrefixId(id))),
            Some(NamedPrefix::Prefix(text)) => {
                let network = self.network("prefix", &text);
                let scope = self.scope(cache, vrf);
                network.zip(scope).map(|(network, scope)| PrefixKey::Network(scope, network))
            }
            None => {
                self.add("key", "prefix_id or prefix is required");
                None
            }
        }
    }

    /// A date that may be left out.
    pub(super) fn date(&mut self, field: &str, date: Option<proto::Date>) -> Option<Date> {
        let date = date?;
        let part = |value: i32| i16::try_from(value).ok();
        let small = |value: i32| i8::try_from(value).ok();
        let parsed = part(date.year)
            .zip(small(date.month))
            .zip(small(date.day))
            .and_then(|((year, month), day)| Date::new(year, month, day).ok())
            .filter(|date| date.year() > 0);
        if parsed.is_none() {
            self.add(
                field,
                format!("{:04}-{:02}-{:02} is not a date of the calendar", date.year, date.month, date.day),
            );
        }
        parsed
    }

    /// A date that must be given.
    pub(super) fn required_date(&mut self, field: &str, date: Option<proto::Date>) -> Option<Date> {
        if date.is_none() {
            self.add(field, "is required");
        }
        self.date(field, date)
    }

    /// An instant of the range that jiff can express.
    pub(super) fn instant(&mut self, field: &str, at: prost_types::Timestamp) -> Option<Timestamp> {
        self.take(field, Timestamp::new(at.seconds, at.nanos).map_err(|_| "is not a valid timestamp"))
    }

    /// The request id of a write. Without one the server makes a new one.
    pub(super) fn request_id(&mut self, field: &str, text: &str) -> Option<RequestId> {
        if text.is_empty() { Some(RequestId::random()) } else { self.own_request_id(field, text) }
    }

    /// A required request id.
    pub(super) fn required_request_id(&mut self, field: &str, text: &str) -> Option<RequestId> {
        if text.is_empty() {
            self.add(field, "is required");
            return None;
        }
        self.own_request_id(field, text)
    }

    /// A request id that callers may use.
    fn own_request_id(&mut self, field: &str, text: &str) -> Option<RequestId> {
        let id = self.take(field, text.parse::<RequestId>())?;
        if id.is_of_pool() {
            self.add(field, format!("{text:?} begins as the ids of pools do, which callers must not use"));
            return None;
        }
        Some(id)
    }

    /// A text of at most `longest` characters.
    pub(super) fn text(&mut self, field: &str, text: String, longest: usize) -> String {
        let length = text.chars().count();
        if length > longest {
            self.add(field, format!("has {length} characters, at most {longest} are allowed"));
        }
        // NetBox fails on NUL, and nobody who reads the record wants the others.
        if let Some(other) = text.chars().find(|c| c.is_control()) {
            self.add(field, format!("contains the control character {}", other.escape_unicode()));
        }
        text
    }

    /// A slug that may be left out.
    pub(super) fn slug(&mut self, field: &str, text: String) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        // NetBox makes slugs of the letters of every language.
        if !text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_')) {
            self.add(field, format!("{text:?} is not a slug: letters, digits, - and _ only"));
        }
        Some(text)
    }

    /// A list of slugs. Empty texts are violations.
    pub(super) fn slugs(&mut self, field: &str, texts: Vec<String>) -> Vec<String> {
        texts
            .into_iter()
            .enumerate()
            .filter_map(|(index, text)| {
                if text.is_empty() {
                    self.add(format!("{field}[{index}]"), "is empty");
                }
                self.slug(&format!("{field}[{index}]"), text)
            })
            .collect()
    }

    /// NetBox's status value; `active` if it is left out.
    pub(super) fn status(&mut self, text: String) -> String {
        if text.is_empty() {
            return "active".to_owned();
        }
        self.slug("status", text).unwrap_or_default()
    }

    /// A DNS name that may be left out.
    pub(super) fn dns_name(&mut self, text: &str) -> Option<DnsName> {
        if text.is_empty() { None } else { self.take("dns_name", text.parse()) }
    }

    /// The most rows of a page: 100 if it is left out, and never more than 1000 (AIP-158).
    pub(super) fn page_size(&mut self, size: i32) -> usize {
        match usize::try_from(size) {
            Ok(0) => DEFAULT_PAGE_SIZE,
            Ok(size) => size.min(MAX_PAGE_SIZE),
            Err(_) => {
                self.add("page_size", "must not be negative");
                DEFAULT_PAGE_SIZE
            }
        }
    }
}

/// A text that may be left out.
pub(super) fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
