//! LeaseService: the life of a lease.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::convert;
use super::page;
use super::parse::Violations;
use super::proto::v1;
use super::proto::v1::lease_service_server::LeaseService;
use super::status::Problem;
use super::watch::{self, Item, Wanted, Watcher};
use crate::cache::{Cache, Index};
use crate::clock::Clock;
use crate::events::{self, EventLog};
use crate::lease::search::{self, Filter, Key, Order};
use crate::lease::{End, Registrar, Registration, Renewal, Target, covering, leased};
use crate::model::{Asn, EventKind, Network, Prefix, PrefixId, Reputation, RoaStatus, Table, Term};

/// How far ahead a watcher looks that does not say.
const HORIZON_DAYS: i32 = 60;

/// What can happen to a term.
const OF_TERMS: [EventKind; 8] = [
    EventKind::LeaseRegistered,
    EventKind::LeaseRenewed,
    EventKind::LeaseChanged,
    EventKind::LeaseEnded,
    EventKind::LeaseExpiring,
    EventKind::LeaseExpired,
    EventKind::NoticeDue,
    EventKind::NoticePassed,
];

/// The longest text that NetBox takes for a description.
const DESCRIPTION: usize = 200;

/// Answers from the cache and writes through the registrar.
#[derive(Clone)]
pub struct Leases {
    cache: Arc<Cache>,
    registrar: Arc<Registrar>,
    clock: Arc<dyn Clock>,
    log: Arc<EventLog>,
    bookmarks: Duration,
}

impl Leases {
    /// Answers from this cache, writes through this registrar, and watches this log; a quiet stream gets a bookmark as
    /// often as this.
    pub fn new(
        cache: Arc<Cache>,
        registrar: Arc<Registrar>,
        clock: Arc<dyn Clock>,
        log: Arc<EventLog>,
        bookmarks: Duration,
    ) -> Self {
        Self { cache, registrar, clock, log, bookmarks }
    }

    fn index(&self) -> Result<Arc<Index>, Problem> {
        if self.cache.is_ready() {
            Ok(self.cache.snapshot())
        } else {
            Err(Problem::cache_empty(&self.cache.freshness().trouble()))
        }
    }

    fn state(&self) -> v1::CacheState {
        convert::cache_state(&self.cache, self.clock.now())
    }

    fn render(&self, prefix: &Prefix) -> Option<v1::Lease> {
        convert::own_lease(prefix, self.clock.today())
    }
}

/// Which prefix a request names: the same oneof in several requests.
enum Named {
    Id(u64),
    Prefix(String),
}

fn target(violations: &mut Violations, named: Option<Named>, vrf_id: u64) -> Option<Target> {
    match named {
        Some(Named::Id(0)) => {
            violations.add("prefix_id", "is required: 0 is no id");
            None
        }
        Some(Named::Id(id)) => Some(Target::Id(PrefixId(id))),
        Some(Named::Prefix(text)) => violations
            .network("prefix", &text)
            .map(|network| Target::Prefix(Table::from_number(vrf_id), network)),
        None => {
            violations.add("key", "prefix_id or prefix is required");
            None
        }
    }
}

fn registration(request: v1::RegisterLeaseRequest) -> Result<(Registration, bool), Problem> {
    let mut violations = Violations::default();
    let network = violations.network("prefix", &request.prefix);
    if request.owner.trim().is_empty() {
        violations.add("owner", "is required: who holds the resource");
    }
    let term = Term {
        start: violations.date("start", request.start),
        expiry: violations.required_date("expiry", request.expiry),
        notice: violations.date("notice_date", request.notice_date),
    };
    violations.take("expiry", term.check());
    let owner = violations.text("owner", request.owner.trim().to_owned(), 200);
    let loa = violations.text("loa_reference", request.loa_reference, 200);
    let origin = Asn::try_from(request.origin_asn).ok();
    let description = violations.text("description", request.description, DESCRIPTION);
    let tenant = violations.slug("tenant", request.tenant);
    let role = violations.slug("role", request.role);
    let tags = violations.slugs("tags", request.tags);
    let id = violations.request_id("request_id", &request.request_id);
    let parsed = network.zip(id).map(|(network, request_id)| Registration {
        network,
        table: Table::from_number(request.vrf_id),
        owner,
        term,
        loa_reference: (!loa.is_empty()).then_some(loa),
        origin,
        description,
        tenant,
        role,
        tags,
        request: request_id,
    });
    Ok((violations.finish_with(parsed)?, request.validate_only))
}

fn order(violations: &mut Violations, text: &str) -> Order {
    let mut words = text.split_whitespace();
    let key = match words.next() {
        None | Some("expiry") => Key::Expiry,
        Some("owner") => Key::Owner,
        Some("prefix") => Key::Prefix,
        Some(other) => {
            violations.add("order_by", format!("{other:?} is none of expiry, owner, prefix"));
            Key::Expiry
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
    Order { key, descending }
}

fn filter(violations: &mut Violations, request: &v1::ListLeasesRequest) -> Filter {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Filter {
        owner: given(&request.owner),
        tenant: given(&request.tenant),
        expiring_before: violations.date("expiring_before", request.expiring_before),
        roa_status: match v1::RoaStatus::try_from(request.roa_status) {
            Ok(v1::RoaStatus::Unspecified) => None,
            Ok(v1::RoaStatus::Valid) => Some(RoaStatus::Valid),
            Ok(v1::RoaStatus::Invalid) => Some(RoaStatus::Invalid),
            Ok(v1::RoaStatus::Unknown) => Some(RoaStatus::Unknown),
            Err(_) => {
                violations.add("roa_status", format!("{} is no value of RoaStatus", request.roa_status));
                None
            }
        },
        reputation: match v1::Reputation::try_from(request.reputation) {
            Ok(v1::Reputation::Unspecified) => None,
            Ok(v1::Reputation::Clean) => Some(Reputation::Clean),
            Ok(v1::Reputation::Listed) => Some(Reputation::Listed),
            Ok(v1::Reputation::Watch) => Some(Reputation::Watch),
            Err(_) => {
                violations.add("reputation", format!("{} is no value of Reputation", request.reputation));
                None
            }
        },
        table: request.vrf_id.map(Table::from_number),
    }
}

#[tonic::async_trait]
impl LeaseService for Leases {
    async fn register_lease(
        &self,
        request: Request<v1::RegisterLeaseRequest>,
    ) -> Result<Response<v1::RegisterLeaseResponse>, Status> {
        let (wish, validate_only) = registration(request.into_inner())?;
        let done = self.registrar.register(&wish, validate_only).await.map_err(Problem::from)?;
        Ok(Response::new(v1::RegisterLeaseResponse {
            lease: self.render(&done.prefix),
            adopted: done.adopted,
            request_id: wish.request.to_string(),
        }))
    }

    async fn get_lease(
        &self,
        request: Request<v1::GetLeaseRequest>,
    ) -> Result<Response<v1::GetLeaseResponse>, Status> {
        use v1::get_lease_request::Key;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let named = request.key.map(|key| match key {
            Key::PrefixId(id) => Named::Id(id),
            Key::Prefix(text) => Named::Prefix(text),
        });
        let target = target(&mut violations, named, request.vrf_id);
        let target = violations.finish_with(target)?;
        let (prefix, _) = leased(&*self.index()?, target).map_err(Problem::from)?;
        Ok(Response::new(v1::GetLeaseResponse { lease: self.render(&prefix), cache: Some(self.state()) }))
    }

    async fn lookup_lease(
        &self,
        request: Request<v1::LookupLeaseRequest>,
    ) -> Result<Response<v1::LookupLeaseResponse>, Status> {
        use v1::lookup_lease_request::Key;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let table = Table::from_number(request.vrf_id);
        let place: Option<Result<(Table, Network), PrefixId>> = match request.key {
            Some(Key::Address(text)) => {
                violations.host("address", &text).map(|host| Ok((table, Network::host(host))))
            }
            Some(Key::Prefix(text)) => {
                violations.network("prefix", &text).map(|network| Ok((table, network)))
            }
            Some(Key::PrefixId(id)) => Some(Err(PrefixId(id))),
            None => {
                violations.add("key", "address, prefix or prefix_id is required");
                None
            }
        };
        let place = violations.finish_with(place)?;
        let index = self.index()?;
        let (table, network) = match place {
            Ok(place) => place,
            Err(id) => {
                let prefix = crate::lease::prefix_of(&index, Target::Id(id)).map_err(Problem::from)?;
                (prefix.table, prefix.network)
            }
        };
        let prefix = covering(&index, table, network).map_err(Problem::from)?;
        Ok(Response::new(v1::LookupLeaseResponse { lease: self.render(&prefix), cache: Some(self.state()) }))
    }

    async fn list_leases(
        &self,
        request: Request<v1::ListLeasesRequest>,
    ) -> Result<Response<v1::ListLeasesResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let filter = filter(&mut violations, &request);
        let order = order(&mut violations, &request.order_by);
        let size = violations.page_size(request.page_size);
        let filters = format!("{filter:?}|{order:?}");
        let start = page::read(&mut violations, &request.page_token, &filters);
        violations.finish()?;
        let found = search::find(&*self.index()?, &filter, order);
        let (rows, next_page_token) =
            page::cut(&found, start.as_ref(), size, &filters, |a, b| search::compare(a, b, order));
        Ok(Response::new(v1::ListLeasesResponse {
            leases: rows.iter().filter_map(|row| self.render(row)).collect(),
            next_page_token,
            total_size: i32::try_from(found.len()).unwrap_or(i32::MAX),
            cache: Some(self.state()),
        }))
    }

    async fn renew_lease(
        &self,
        request: Request<v1::RenewLeaseRequest>,
    ) -> Result<Response<v1::RenewLeaseResponse>, Status> {
        use v1::renew_lease_request::Key;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let named = request.key.map(|key| match key {
            Key::PrefixId(id) => Named::Id(id),
            Key::Prefix(text) => Named::Prefix(text),
        });
        let target = target(&mut violations, named, request.vrf_id);
        let expiry = violations.required_date("expiry", request.expiry);
        let notice = violations.date("notice_date", request.notice_date);
        let loa = violations.text("loa_reference", request.loa_reference, 200);
        let read = violations.take("etag", convert::revision(&request.etag)).flatten();
        violations.request_id("request_id", &request.request_id);
        let parsed = target.zip(expiry);
        let (target, expiry) = violations.finish_with(parsed)?;
        let renewal = Renewal {
            expiry,
            notice,
            loa_reference: (!loa.is_empty()).then_some(loa),
            allow_earlier: request.allow_earlier_expiry,
        };
        let done = self
            .registrar
            .renew(target, &renewal, read.as_ref(), request.validate_only)
            .await
            .map_err(Problem::from)?;
        Ok(Response::new(v1::RenewLeaseResponse {
            lease: self.render(&done.prefix),
            previous_expiry: done.previous_expiry.map(convert::date),
        }))
    }

    async fn end_lease(
        &self,
        request: Request<v1::EndLeaseRequest>,
    ) -> Result<Response<v1::EndLeaseResponse>, Status> {
        use v1::end_lease_request::Key;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let named = request.key.map(|key| match key {
            Key::PrefixId(id) => Named::Id(id),
            Key::Prefix(text) => Named::Prefix(text),
        });
        let target = target(&mut violations, named, request.vrf_id);
        let read = violations.take("etag", convert::revision(&request.etag)).flatten();
        violations.request_id("request_id", &request.request_id);
        let target = violations.finish_with(target)?;
        let end = End { allow_in_use: request.allow_addresses_in_use, delete_prefix: request.delete_prefix };
        let done = self
            .registrar
            .end(target, end, read.as_ref(), request.validate_only)
            .await
            .map_err(Problem::from)?;
        Ok(Response::new(v1::EndLeaseResponse {
            lease: self.render(&done.before),
            addresses_in_use: done.addresses_in_use,
        }))
    }

    type WatchExpiryStream = Pin<Box<dyn Stream<Item = Result<v1::WatchExpiryResponse, Status>> + Send>>;

    async fn watch_expiry(
        &self,
        request: Request<v1::WatchExpiryRequest>,
    ) -> Result<Response<Self::WatchExpiryStream>, Status> {
        use v1::watch_expiry_response::Item as Message;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let wanted = Wanted {
            types: &[],
            owner: &request.owner,
            tenant: &request.tenant,
            tag: &request.tag,
            within: &request.within,
            vrf_id: request.vrf_id,
            horizon_days: Some(request.horizon_days.unwrap_or(HORIZON_DAYS)),
        };
        let filter =
            events::Filter { kinds: OF_TERMS.into(), terms_only: true, ..wanted.filter(&mut violations) };
        let token = watch::token(&mut violations, &request.resume_token);
        violations.finish()?;
        let watcher = Watcher {
            cache: self.cache.clone(),
            log: self.log.clone(),
            clock: self.clock.clone(),
            bookmarks: self.bookmarks,
        };
        let items = watcher.open(filter, token, true).await?;
        let messages = items.map(|item| {
            let (item, resume_token) = item?;
            let item = match item {
                Item::Lease(lease) => Message::Lease(*lease),
                Item::Synced => Message::Synced(v1::Synced {}),
                Item::Event(event) => Message::Event(*event),
                Item::Bookmark => Message::Bookmark(v1::Bookmark {}),
            };
            Ok(v1::WatchExpiryResponse { item: Some(item), resume_token })
        });
        Ok(Response::new(messages.boxed()))
    }
}
