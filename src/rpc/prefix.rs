//! PrefixService: reads of the cache, and the lookup of an address, which is the hottest path of the server.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::answer::{BatchLookupAnswer, LookupAnswer, StreamLookupAnswer};
use super::encoded_cache::EncodedCache;
use super::parse::{Violations, given};
use super::problem::Problem;
use super::proto::v1;
use super::proto::v1::prefix_service_server::PrefixService;
use super::{convert, page};
use crate::cache::{Cache, Index, Lookup, PrefixFilter, PrefixKey, find_prefixes, prefix_order};
use crate::clock::Clock;
use crate::events::Historian;
use crate::model::{PrefixId, VrfScope};

/// Handles PrefixService. Answers come from the cache; the historian answers for the past.
#[derive(Clone)]
pub struct PrefixHandler {
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    historian: Arc<Historian>,
    encoded: Arc<EncodedCache>,
}

impl PrefixHandler {
    /// A handler over this cache and its history.
    pub fn new(cache: Arc<Cache>, clock: Arc<dyn Clock>, historian: Arc<Historian>) -> Self {
        Self { cache, clock, historian, encoded: Arc::new(EncodedCache::new()) }
    }

    fn cache_state(&self) -> v1::CacheState {
        convert::cache_state(&self.cache, self.clock.now())
    }

    /// The answer for now. Takes no lock and reads one snapshot.
    fn answer(&self, index: &Index, scope: VrfScope, host: IpAddr) -> LookupAnswer {
        let answer = self.encoded.answer(index, scope, host, self.clock.today());
        LookupAnswer { cache: Some(self.cache_state()), ..answer }
    }

    fn look_up(&self, address: &str, vrf_id: u64) -> Result<LookupAnswer, Problem> {
        let mut violations = Violations::default();
        let host = violations.host("address", address);
        let host = violations.finish_with(host)?;
        let index = self.cache.ready_read()?;
        Ok(self.answer(&index, VrfScope::from_number(vrf_id), host))
    }

    async fn look_up_as_of(
        &self,
        address: &str,
        vrf_id: u64,
        at: prost_types::Timestamp,
    ) -> Result<LookupAnswer, Problem> {
        let mut violations = Violations::default();
        let host = violations.host("address", address);
        let at = violations.instant("as_of", at);
        let (host, at) = violations.finish_with(host.zip(at))?;
        // The names of VRFs are those of now: the past of a VRF is not recorded.
        let index = self.cache.ready_snapshot()?;
        let (then, known_since) = self.historian.as_of(VrfScope::from_number(vrf_id), host, at).await?;
        let found = Lookup { chain: then.chain.iter().collect(), records: &then.records };
        Ok(LookupAnswer {
            cache: Some(self.cache_state()),
            as_of: Some(convert::timestamp(at)),
            known_since: Some(convert::timestamp(known_since)),
            ..LookupAnswer::of_the_past(&index, host, &found, self.clock.day_of(at))
        })
    }

    fn list(&self, request: &v1::ListPrefixesRequest) -> Result<v1::ListPrefixesResponse, Problem> {
        let mut violations = Violations::default();
        let filter = PrefixFilter {
            within: violations.optional_network("within", &request.within),
            scope: request.vrf_id.map(VrfScope::from_number),
            tenant: given(&request.tenant),
            role: given(&request.role),
            tag: given(&request.tag),
            status: given(&request.status),
            leased_only: request.leased_only,
        };
        let size = violations.page_size(request.page_size);
        let filters = filter_text(request);
        let after = page::parse_token(&mut violations, &request.page_token, &filters);
        violations.finish()?;
        let index = self.cache.ready_snapshot()?;
        let found = find_prefixes(&index, &filter);
        let (rows, next_page_token) = page::cut(&found, after.as_ref(), size, &filters, prefix_order);
        let today = self.clock.today();
        Ok(v1::ListPrefixesResponse {
            prefixes: rows.iter().map(|row| convert::prefix(&index, row, today)).collect(),
            next_page_token,
            cache: Some(self.cache_state()),
        })
    }
}

/// The filters as the text whose digest a page token carries. It never changes, so that tokens of an earlier version are
/// still valid; tests/golden/tokens.json holds such tokens.
fn filter_text(request: &v1::ListPrefixesRequest) -> String {
    let v1::ListPrefixesRequest { within, vrf_id, tenant, role, tag, status, leased_only, .. } = request;
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
        let key = match request.key {
            Some(Key::Id(id)) => Some(PrefixKey::Id(PrefixId(id))),
            Some(Key::Prefix(text)) => violations
                .network("prefix", &text)
                .map(|network| PrefixKey::Network(VrfScope::from_number(request.vrf_id), network)),
            None => {
                violations.add("key", "id or prefix is required");
                None
            }
        };
        let key = violations.finish_with(key)?;
        let index = self.cache.ready_snapshot().map_err(Problem::from)?;
        let found = index.resolve(key).map_err(Problem::from)?;
        Ok(Response::new(v1::GetPrefixResponse {
            prefix: Some(convert::prefix(&index, found, self.clock.today())),
            cache: Some(self.cache_state()),
        }))
    }

    async fn list_prefixes(
        &self,
        request: Request<v1::ListPrefixesRequest>,
    ) -> Result<Response<v1::ListPrefixesResponse>, Status> {
        Ok(Response::new(self.list(request.get_ref())?))
    }

    async fn lookup_address(
        &self,
        request: Request<v1::LookupAddressRequest>,
    ) -> Result<Response<LookupAnswer>, Status> {
        let request = request.get_ref();
        match request.as_of {
            None => Ok(Response::new(self.look_up(&request.address, request.vrf_id)?)),
            Some(at) => {
                // Boxed, so that the large future of this rare case does not make every call's future large.
                let past = Box::pin(self.look_up_as_of(&request.address, request.vrf_id, at));
                Ok(Response::new(past.await?))
            }
        }
    }

    async fn batch_lookup_addresses(
        &self,
        request: Request<v1::BatchLookupAddressesRequest>,
    ) -> Result<Response<BatchLookupAnswer>, Status> {
        let request = request.get_ref();
        let mut violations = Violations::default();
        if request.addresses.is_empty() || request.addresses.len() > 1000 {
            violations.add("addresses", format!("{} given, 1 to 1000 are allowed", request.addresses.len()));
        }
        let hosts = violations.hosts("addresses", &request.addresses);
        violations.finish()?;
        let index = self.cache.ready_snapshot().map_err(Problem::from)?;
        let scope = VrfScope::from_number(request.vrf_id);
        let results = hosts.into_iter().map(|host| self.answer(&index, scope, host)).collect();
        Ok(Response::new(BatchLookupAnswer { results }))
    }

    type StreamLookupAddressesStream = Pin<Box<dyn Stream<Item = Result<StreamLookupAnswer, Status>> + Send>>;

    async fn stream_lookup_addresses(
        &self,
        request: Request<Streaming<v1::StreamLookupAddressesRequest>>,
    ) -> Result<Response<Self::StreamLookupAddressesStream>, Status> {
        let this = self.clone();
        let answers = request.into_inner().map(move |request| {
            let request = request?;
            let result = this.look_up(&request.address, request.vrf_id)?;
            Ok(StreamLookupAnswer { result: Some(result) })
        });
        // The first refusal ends the stream: the client could not tell which request a later answer belongs to.
        let mut refused = false;
        let until_refused = answers.take_while(move |answer| {
            let go_on = !refused;
            refused |= answer.is_err();
            std::future::ready(go_on)
        });
        Ok(Response::new(until_refused.boxed()))
    }
}
