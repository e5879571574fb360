//! LeaseService: commands and lookups of leases, and the stream of expiring ones.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::caller::caller;
use super::page::{self, SortKey};
use super::parse::{View, Violations};
use super::problem::Problem;
use super::proto::v1;
use super::proto::v1::lease_service_server::LeaseService;
use super::watch::{self, EventFilterFields, StreamItem, StreamOpener};
use super::{convert, lease_parse as parse};
use crate::allocation::Allocator;
use crate::cache::{Cache, PrefixKey};
use crate::clock::Clock;
use crate::events::{EventFilter, EventLog};
use crate::lease::lookup::{covering, leased};
use crate::lease::search;
use crate::model::{EventKind, Network, Prefix, PrefixId, VrfScope};
use crate::netbox::FieldNames;

/// The horizon of WatchExpiry in days, unless the request sets another.
const HORIZON_DAYS: i32 = 60;

/// The events that WatchExpiry sends. Of prefix events it sends only those that change a date of the lease.
const TERM_EVENTS: [EventKind; 8] = [
    EventKind::LeaseRegistered,
    EventKind::LeaseRenewed,
    EventKind::LeaseChanged,
    EventKind::LeaseEnded,
    EventKind::LeaseExpiring,
    EventKind::LeaseExpired,
    EventKind::NoticeDue,
    EventKind::NoticePassed,
];

/// Handles LeaseService. Writes go through the allocator; reads come from the cache.
#[derive(Clone)]
pub struct LeaseHandler {
    cache: Arc<Cache>,
    allocator: Arc<Allocator>,
    clock: Arc<dyn Clock>,
    log: Arc<EventLog>,
    bookmarks: Duration,
    fields: FieldNames,
}

/// Where LookupLease looks: at a network, or at the network of a recorded prefix.
enum Place {
    Network(VrfScope, Network),
    Recorded(PrefixId),
}

impl LeaseHandler {
    /// A handler over this allocator and its cache. A quiet stream of WatchExpiry sends a bookmark after each `bookmarks`.
    /// `fields` are the names of Leasehold's own custom fields.
    pub fn new(
        cache: Arc<Cache>,
        allocator: Arc<Allocator>,
        clock: Arc<dyn Clock>,
        log: Arc<EventLog>,
        bookmarks: Duration,
        fields: FieldNames,
    ) -> Self {
        Self { cache, allocator, clock, log, bookmarks, fields }
    }

    fn cache_state(&self) -> v1::CacheState {
        convert::cache_state(&self.cache, self.clock.now())
    }

    fn render(&self, prefix: &Prefix) -> Option<v1::Lease> {
        convert::own_lease(&self.cache.snapshot(), prefix, self.clock.today())
    }
}

#[tonic::async_trait]
impl LeaseService for LeaseHandler {
    async fn register_lease(
        &self,
        request: Request<v1::RegisterLeaseRequest>,
    ) -> Result<Response<v1::RegisterLeaseResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let command = parse::register_lease(&self.cache, &self.fields, request)?;
        let request_id = command.request.to_string();
        let done = if validate_only {
            self.allocator.preview_register(&command)
        } else {
            self.allocator.register(command, caller).await
        };
        let done = done.map_err(Problem::from)?;
        Ok(Response::new(v1::RegisterLeaseResponse {
            lease: self.render(&done.prefix),
            adopted: done.adopted,
            request_id,
        }))
    }

    async fn get_lease(
        &self,
        request: Request<v1::GetLeaseRequest>,
    ) -> Result<Response<v1::GetLeaseResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let key = violations.prefix_key(&self.cache, request.key.map(parse::get_key), request.vrf.as_ref());
        let key = violations.finish_with(key)?;
        let index = self.cache.ready_snapshot().map_err(Problem::from)?;
        let (prefix, _) = leased(&index, key).map_err(Problem::from)?;
        Ok(Response::new(v1::GetLeaseResponse {
            lease: self.render(prefix),
            cache: Some(self.cache_state()),
        }))
    }

    async fn lookup_lease(
        &self,
        request: Request<v1::LookupLeaseRequest>,
    ) -> Result<Response<v1::LookupLeaseResponse>, Status> {
        use v1::lookup_lease_request::Key;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let vrf = request.vrf.as_ref();
        let place = match request.key {
            Some(Key::Address(text)) => {
                let network = violations.host("address", &text).map(Network::host);
                violations
                    .scope(&self.cache, vrf)
                    .zip(network)
                    .map(|(scope, network)| Place::Network(scope, network))
            }
            Some(Key::Prefix(text)) => {
                let network = violations.network("prefix", &text);
                violations
                    .scope(&self.cache, vrf)
                    .zip(network)
                    .map(|(scope, network)| Place::Network(scope, network))
            }
            Some(Key::PrefixId(id)) => Some(Place::Recorded(PrefixId(id))),
            None => {
                violations.add("key", "address, prefix or prefix_id is required");
                None
            }
        };
        let place = violations.finish_with(place)?;
        let index = self.cache.ready_snapshot().map_err(Problem::from)?;
        let (scope, network) = match place {
            Place::Network(scope, network) => (scope, network),
            Place::Recorded(id) => {
                let prefix = index.resolve(PrefixKey::Id(id)).map_err(Problem::from)?;
                (prefix.scope, prefix.network)
            }
        };
        let prefix = covering(&index, scope, network).map_err(Problem::from)?;
        Ok(Response::new(v1::LookupLeaseResponse {
            lease: self.render(&prefix),
            cache: Some(self.cache_state()),
        }))
    }

    async fn list_leases(
        &self,
        request: Request<v1::ListLeasesRequest>,
    ) -> Result<Response<v1::ListLeasesResponse>, Status> {
        let request = request.get_ref();
        let mut violations = Violations::default();
        let filter = parse::filter(&mut violations, &self.cache, request);
        let order = parse::order(&mut violations, &request.order_by);
        let size = violations.page_size(request.page_size);
        let filters = filter.token_text(order);
        // The filters of the token are only known if the VRF is.
        let after = if filter.scope.is_some() == request.vrf.is_some() {
            page::parse_token(&mut violations, &request.page_token, &filters)
        } else {
            None
        };
        violations.finish()?;
        let index = self.cache.ready_snapshot().map_err(Problem::from)?;
        let today = self.clock.today();
        let last = after.as_ref().map(SortKey::row);
        let page = page::fill(
            size,
            // A lease has no views.
            View::Basic,
            search::candidates(&index, &filter, order, last.as_ref()),
            |prefix, _| {
                let shown = filter.matches(prefix);
                if shown { convert::own_lease(&index, prefix, today) } else { None }
            },
            |prefix| page::lease_token(prefix, &filters),
        )?;
        Ok(Response::new(v1::ListLeasesResponse {
            leases: page.rows,
            next_page_token: page.next_page_token,
            cache: Some(self.cache_state()),
        }))
    }

    async fn update_lease(
        &self,
        request: Request<v1::UpdateLeaseRequest>,
    ) -> Result<Response<v1::UpdateLeaseResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let command = parse::update_lease(&self.cache, request)?;
        let done = if validate_only {
            self.allocator.preview_update(&command)
        } else {
            self.allocator.update(command, caller).await
        };
        let done = done.map_err(Problem::from)?;
        Ok(Response::new(v1::UpdateLeaseResponse { lease: self.render(&done.prefix) }))
    }

    async fn renew_lease(
        &self,
        request: Request<v1::RenewLeaseRequest>,
    ) -> Result<Response<v1::RenewLeaseResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let command = parse::renew_lease(&self.cache, request)?;
        let done = if validate_only {
            self.allocator.preview_renew(&command)
        } else {
            self.allocator.renew(command, caller).await
        };
        let done = done.map_err(Problem::from)?;
        Ok(Response::new(v1::RenewLeaseResponse {
            lease: self.render(&done.prefix),
            previous_expiry_date: done.previous_expiry.map(convert::date),
        }))
    }

    async fn end_lease(
        &self,
        request: Request<v1::EndLeaseRequest>,
    ) -> Result<Response<v1::EndLeaseResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let command = parse::end_lease(&self.cache, &request)?;
        let done = if validate_only {
            self.allocator.preview_end(&command)
        } else {
            self.allocator.end_lease(command, caller).await
        };
        let done = done.map_err(Problem::from)?;
        Ok(Response::new(v1::EndLeaseResponse {
            lease: self.render(&done.before),
            address_in_use_count: done.addresses_in_use,
        }))
    }

    type WatchExpiryStream = Pin<Box<dyn Stream<Item = Result<v1::WatchExpiryResponse, Status>> + Send>>;

    async fn watch_expiry(
        &self,
        request: Request<v1::WatchExpiryRequest>,
    ) -> Result<Response<Self::WatchExpiryStream>, Status> {
        use v1::watch_expiry_response::Item;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let fields = EventFilterFields {
            types: &[],
            owner: &request.owner,
            tenant: request.tenant.as_ref(),
            tag: &request.tag,
            within: &request.within,
            vrf: request.vrf.as_ref(),
            horizon_days: Some(request.horizon_days.unwrap_or(HORIZON_DAYS)),
        };
        let filter = EventFilter {
            kinds: TERM_EVENTS.into(),
            terms_only: true,
            ..fields.parse(&mut violations, &self.cache)
        };
        let token = watch::parse_resume_token(&mut violations, &request.resume_token);
        violations.finish()?;
        let opener = StreamOpener {
            cache: self.cache.clone(),
            log: self.log.clone(),
            clock: self.clock.clone(),
            bookmarks: self.bookmarks,
        };
        let items = opener.open(filter, token, true).await?;
        let messages = items.map(|item| {
            let (item, resume_token) = item?;
            let item = match item {
                StreamItem::Lease(lease) => Item::Lease(*lease),
                StreamItem::Synced => Item::Synced(v1::Synced {}),
                StreamItem::Event(event) => Item::Event(*event),
                StreamItem::Bookmark => Item::Bookmark(v1::Bookmark {}),
            };
            Ok(v1::WatchExpiryResponse { item: Some(item), resume_token })
        });
        Ok(Response::new(messages.boxed()))
    }
}
