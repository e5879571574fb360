//! PrefixService: reads of the cache, and the lookup of an address, which is the hottest path of the server.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::answer::{BatchLookupAnswer, LookupAnswer, StreamLookupAnswer, StreamLookupOutcome};
use super::encoded_cache::EncodedCache;
use super::parse::{NamedPrefix, View, Violations, given};
use super::problem::Problem;
use super::proto::v1;
use super::proto::v1::prefix_service_server::PrefixService;
use super::{convert, page};
use crate::allocation::Allocator;
use crate::cache::{Cache, Lookup, PrefixFilter, VrfKey, search_prefixes};
use crate::clock::Clock;
use crate::events::Historian;
use crate::model::{PrefixId, VrfId, VrfScope};

/// Handles PrefixService. Answers come from the cache; the historian answers for the past, and the allocator for the use of a prefix.
#[derive(Clone)]
pub struct PrefixHandler {
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    historian: Arc<Historian>,
    allocator: Arc<Allocator>,
    encoded: Arc<EncodedCache>,
}

impl PrefixHandler {
    /// A handler over this cache and its history. The allocator says how prefixes are used.
    pub fn new(
        cache: Arc<Cache>,
        clock: Arc<dyn Clock>,
        historian: Arc<Historian>,
        allocator: Arc<Allocator>,
    ) -> Self {
        Self { cache, clock, historian, allocator, encoded: Arc::new(EncodedCache::new()) }
    }

    fn cache_state(&self) -> v1::CacheState {
        convert::cache_state(&self.cache, self.clock.now())
    }

    /// The answer for now. Takes no lock.
    fn look_up(&self, address: &str, vrf: Option<&v1::VrfRef>, view: i32) -> Result<LookupAnswer, Problem> {
        let mut violations = Violations::default();
        let host = violations.host("address", address);
        let scope = violations.scope(&self.cache, vrf);
        let view = violations.view(view, View::Full);
        let (host, scope) = violations.finish_with(host.zip(scope))?;
        let index = self.cache.ready_read()?;
        let (now, today) = self.clock.now_and_today();
        let mut answer = self.encoded.answer(&index, scope, host, today, view);
        answer.cache = Some(convert::cache_state(&self.cache, now));
        page::check_size(&answer, smaller(view))?;
        Ok(answer)
    }

    async fn look_up_as_of(
        &self,
        request: &v1::LookupAddressRequest,
        at: prost_types::Timestamp,
    ) -> Result<LookupAnswer, Problem> {
        let mut violations = Violations::default();
        let host = violations.host("address", &request.address);
        let scope = self.scope_of_the_past(&mut violations, request.vrf.as_ref());
        let at = violations.instant("as_of_time", at);
        let view = violations.view(request.view, View::Full);
        let ((host, at), scope) = violations.finish_with(host.zip(at).zip(scope))?;
        // The names of VRFs are those of now: the past of a VRF is not recorded.
        let index = self.cache.ready_snapshot()?;
        let (then, known_since) = self.historian.as_of(scope, host, at).await?;
        let found = Lookup { chain: then.chain.iter().collect(), records: &then.records };
        if found.chain.is_empty() && found.records.is_empty() {
            // Neither the past nor the present knows this VRF.
            index.resolve_vrf(&VrfKey::Scope(scope))?;
        }
        let answer = LookupAnswer {
            cache: Some(self.cache_state()),
            as_of_time: Some(convert::timestamp(at)),
            known_since_time: Some(convert::timestamp(known_since)),
            ..LookupAnswer::of_the_past(&index, host, &found, self.clock.day_of(at), view)
        };
        page::check_size(&answer, smaller(view))?;
        Ok(answer)
    }

    /// The scope of a request about the past. An id may be that of a VRF which NetBox no longer has: its records are in the past.
    fn scope_of_the_past(&self, violations: &mut Violations, vrf: Option<&v1::VrfRef>) -> Option<VrfScope> {
        match vrf.and_then(|vrf| vrf.r#ref.as_ref()) {
            Some(v1::vrf_ref::Ref::Id(id)) => Some(VrfScope::from_number(*id)),
            _ => violations.scope(&self.cache, vrf),
        }
    }

    async fn list(&self, request: &v1::ListPrefixesRequest) -> Result<v1::ListPrefixesResponse, Problem> {
        let mut violations = Violations::default();
        let filter = PrefixFilter {
            within: violations.optional_network("within", &request.within),
            scope: violations.scope_filter("vrf", &self.cache, request.vrf.as_ref()),
            tenant: violations.tenant(request.tenant.as_ref()),
            role: given(&request.role),
            tag: given(&request.tag),
            status: given(&request.status),
            leased_only: request.leased_only,
        };
        let size = violations.page_size(request.page_size);
        let view = violations.view(request.view, View::Basic);
        let filters = filter_text(&request.within, &filter);
        // The filters of the token are only known if the VRF is.
        let after = if filter.scope.is_some() == request.vrf.is_some() {
            page::parse_token(&mut violations, &request.page_token, &filters)
        } else {
            None
        };
        violations.finish()?;
        let index = self.cache.ready_snapshot()?;
        let today = self.clock.today();
        let page = page::fill(
            size,
            view,
            search_prefixes(&index, &filter, after.map(|key| key.position())),
            |step, view| step.found.map(|prefix| convert::prefix(&index, prefix, today, view)),
            |step| page::prefix_token(step.position, &filters),
        )?;
        let used = if request.include_utilization {
            let shown = page.rows.iter().filter_map(|row| index.prefix(PrefixId(row.id)).cloned());
            self.allocator.utilizations(&index, &shown.collect::<Vec<_>>()).await?
        } else {
            Vec::new()
        };
        Ok(v1::ListPrefixesResponse {
            prefixes: page.rows,
            next_page_token: page.next_page_token,
            cache: Some(self.cache_state()),
            utilizations: used.iter().map(convert::utilization).collect(),
        })
    }

    fn batch(&self, request: &v1::BatchLookupAddressesRequest) -> Result<BatchLookupAnswer, Problem> {
        let mut violations = Violations::default();
        if request.addresses.is_empty() || request.addresses.len() > 1000 {
            violations.add("addresses", format!("{} given, 1 to 1000 are allowed", request.addresses.len()));
        }
        let hosts = violations.hosts("addresses", &request.addresses);
        let scope = violations.scope(&self.cache, request.vrf.as_ref());
        let view = violations.view(request.view, View::Basic);
        let scope = violations.finish_with(scope)?;
        let index = self.cache.ready_snapshot()?;
        let today = self.clock.today();
        let results =
            hosts.into_iter().map(|host| self.encoded.answer(&index, scope, host, today, view)).collect();
        let answer = BatchLookupAnswer { results, cache: Some(self.cache_state()) };
        let advice = match view {
            View::Full => "ask for fewer addresses or for the BASIC view",
            View::Basic => "ask for fewer addresses",
        };
        page::check_size(&answer, advice)?;
        Ok(answer)
    }

    fn list_vrfs(&self, request: &v1::ListVrfsRequest) -> Result<v1::ListVrfsResponse, Problem> {
        let mut violations = Violations::default();
        let size = violations.page_size(request.page_size);
        let after = page::parse_id_token(&mut violations, &request.page_token);
        violations.finish()?;
        let index = self.cache.ready_snapshot()?;
        let page = page::fill(
            size,
            View::Basic,
            index.vrfs_after(VrfId(after.unwrap_or(0))),
            |vrf, _| Some(convert::vrf_record(vrf)),
            |vrf| page::id_token(vrf.id.0),
        )?;
        Ok(v1::ListVrfsResponse {
            vrfs: page.rows,
            next_page_token: page.next_page_token,
            cache: Some(self.cache_state()),
        })
    }
}

/// How to get an answer about one prefix or address that is too large in a view.
fn smaller(view: View) -> &'static str {
    match view {
        View::Full => "ask for the BASIC view",
        View::Basic => "the record can only be read in NetBox",
    }
}

/// The filters as the text whose digest a page token carries. It never changes, so that tokens of an earlier version are
/// still valid; tests/golden/tokens.json holds such tokens.
fn filter_text(within: &str, filter: &PrefixFilter) -> String {
    let PrefixFilter { within: _, scope, tenant, role, tag, status, leased_only } = filter;
    let vrf_id = scope.map(VrfScope::number);
    let tenant = tenant.as_ref().map(ToString::to_string).unwrap_or_default();
    let [role, tag, status] = [role, tag, status].map(|text| text.as_deref().unwrap_or_default());
    format!("{within}|{vrf_id:?}|{tenant}|{role}|{tag}|{status}|{leased_only}")
}

#[tonic::async_trait]
impl PrefixService for PrefixHandler {
    async fn get_prefix(
        &self,
        request: Request<v1::GetPrefixRequest>,
    ) -> Result<Response<v1::GetPrefixResponse>, Status> {
        use v1::get_prefix_request::Key;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let named = request.key.map(|key| match key {
            Key::PrefixId(id) => NamedPrefix::Id(id),
            Key::Prefix(text) => NamedPrefix::Prefix(text),
        });
        let key = violations.prefix_key(&self.cache, named, request.vrf.as_ref());
        let view = violations.view(request.view, View::Full);
        let key = violations.finish_with(key)?;
        let index = self.cache.ready_snapshot().map_err(Problem::from)?;
        let found = index.resolve(key).map_err(Problem::from)?;
        let answer = v1::GetPrefixResponse {
            prefix: Some(convert::prefix(&index, found, self.clock.today(), view)),
            cache: Some(self.cache_state()),
        };
        page::check_size(&answer, smaller(view))?;
        Ok(Response::new(answer))
    }

    async fn list_prefixes(
        &self,
        request: Request<v1::ListPrefixesRequest>,
    ) -> Result<Response<v1::ListPrefixesResponse>, Status> {
        Ok(Response::new(self.list(request.get_ref()).await?))
    }

    async fn lookup_address(
        &self,
        request: Request<v1::LookupAddressRequest>,
    ) -> Result<Response<LookupAnswer>, Status> {
        let request = request.get_ref();
        match request.as_of_time {
            None => Ok(Response::new(self.look_up(&request.address, request.vrf.as_ref(), request.view)?)),
            // Boxed, so that the large future of this rare case does not make every call's future large.
            Some(at) => Ok(Response::new(Box::pin(self.look_up_as_of(request, at)).await?)),
        }
    }

    async fn batch_lookup_addresses(
        &self,
        request: Request<v1::BatchLookupAddressesRequest>,
    ) -> Result<Response<BatchLookupAnswer>, Status> {
        Ok(Response::new(self.batch(request.get_ref())?))
    }

    type StreamLookupAddressesStream = Pin<Box<dyn Stream<Item = Result<StreamLookupAnswer, Status>> + Send>>;

    async fn stream_lookup_addresses(
        &self,
        request: Request<Streaming<v1::StreamLookupAddressesRequest>>,
    ) -> Result<Response<Self::StreamLookupAddressesStream>, Status> {
        let this = self.clone();
        let answers = request.into_inner().map(move |request| {
            // What fails here is the stream itself. A request that is refused is answered, and the stream goes on.
            let v1::StreamLookupAddressesRequest { address, vrf, view } = request?;
            let outcome = match this.look_up(&address, vrf.as_ref(), view) {
                Ok(answer) => StreamLookupOutcome::Result(answer),
                Err(problem) => StreamLookupOutcome::Error(problem.into()),
            };
            Ok(StreamLookupAnswer { outcome: Some(outcome) })
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn get_utilization(
        &self,
        request: Request<v1::GetUtilizationRequest>,
    ) -> Result<Response<v1::GetUtilizationResponse>, Status> {
        use v1::get_utilization_request::Key;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let named = request.key.map(|key| match key {
            Key::PrefixId(id) => NamedPrefix::Id(id),
            Key::Prefix(text) => NamedPrefix::Prefix(text),
        });
        let key = violations.prefix_key(&self.cache, named, request.vrf.as_ref());
        let key = violations.finish_with(key)?;
        let (prefix, used, index) = self.allocator.utilization(key).await.map_err(Problem::from)?;
        let answer = v1::GetUtilizationResponse {
            prefix: Some(convert::prefix(&index, &prefix, self.clock.today(), View::Basic)),
            utilization: Some(convert::utilization(&used)),
            cache: Some(self.cache_state()),
        };
        page::check_size(&answer, smaller(View::Basic))?;
        Ok(Response::new(answer))
    }

    async fn list_vrfs(
        &self,
        request: Request<v1::ListVrfsRequest>,
    ) -> Result<Response<v1::ListVrfsResponse>, Status> {
        Ok(Response::new(self.list_vrfs(request.get_ref())?))
    }
}
