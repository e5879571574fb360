//! PrefixService: cached reads.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::answer::{Answer, BatchAnswer, Shelves, StreamAnswer};
use super::convert;
use super::page;
use super::parse::Violations;
use super::proto::v1;
use super::proto::v1::prefix_service_server::PrefixService;
use super::status::Problem;
use crate::cache::{Cache, Lookup};
use crate::clock::Clock;
use crate::events::Historian;
use crate::lease::{Target, prefix_of};
use crate::model::{Network, Prefix, PrefixId, Table};

/// Answers from the cache.
#[derive(Clone)]
pub struct Prefixes {
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    historian: Arc<Historian>,
    shelves: Arc<Shelves>,
}

impl Prefixes {
    /// Answers from this cache, and for the past from this historian.
    pub fn new(cache: Arc<Cache>, clock: Arc<dyn Clock>, historian: Arc<Historian>) -> Self {
        Self { cache, clock, historian, shelves: Arc::new(Shelves::new()) }
    }

    fn ready(&self) -> Result<(), Problem> {
        if self.cache.is_ready() {
            Ok(())
        } else {
            Err(Problem::cache_empty(&self.cache.freshness().trouble()))
        }
    }

    fn state(&self) -> v1::CacheState {
        convert::cache_state(&self.cache, self.clock.now())
    }

    fn answer(&self, table: Table, host: IpAddr) -> Answer {
        let index = self.cache.read();
        let answer = self.shelves.answer(&index, table, host, self.clock.today());
        Answer { cache: Some(self.state()), ..answer }
    }

    async fn as_of(&self, address: &str, vrf_id: u64, at: prost_types::Timestamp) -> Result<Answer, Problem> {
        let mut violations = Violations::default();
        let host = violations.host("address", address);
        let at = violations.instant("as_of", at);
        let (host, at) = violations.finish_with(host.zip(at))?;
        self.ready()?;
        let (standing, known_since) = self.historian.as_of(Table::from_number(vrf_id), host, at).await?;
        let index = self.cache.snapshot();
        let found = Lookup { chain: standing.chain.iter().collect(), records: &standing.records };
        // Phase and days left are those of that day, too.
        let then = self.clock.day_of(at);
        Ok(Answer {
            cache: Some(self.state()),
            as_of: Some(convert::timestamp(at)),
            known_since: Some(convert::timestamp(known_since)),
            ..Answer::of_the_past(&index, host, &found, then)
        })
    }

    fn look_up(&self, address: &str, vrf_id: u64) -> Result<Answer, Problem> {
        let mut violations = Violations::default();
        let host = violations.host("address", address);
        let host = violations.finish_with(host)?;
        self.ready()?;
        Ok(self.answer(Table::from_number(vrf_id), host))
    }

    fn list(&self, request: &v1::ListPrefixesRequest) -> Result<v1::ListPrefixesResponse, Problem> {
        let mut violations = Violations::default();
        let within: Option<Network> = match request.within.as_str() {
            "" => None,
            text => violations.network("within", text),
        };
        let size = violations.page_size(request.page_size);
        let filters = format!(
            "{}|{:?}|{}|{}|{}|{}|{}",
            request.within,
            request.vrf_id,
            request.tenant,
            request.role,
            request.tag,
            request.status,
            request.leased_only
        );
        let start = page::read(&mut violations, &request.page_token, &filters);
        violations.finish()?;
        self.ready()?;
        let index = self.cache.snapshot();
        let mut tables: Vec<Table> = match request.vrf_id {
            Some(id) => vec![Table::from_number(id)],
            None => index.tables().collect(),
        };
        tables.sort_unstable();
        let matches = |prefix: &&Arc<Prefix>| {
            let slug = |wanted: &str, named: Option<&crate::model::NamedRef>| {
                wanted.is_empty() || named.is_some_and(|named| *named.slug == *wanted)
            };
            slug(&request.tenant, prefix.tenant.as_ref())
                && slug(&request.role, prefix.role.as_ref())
                && (request.tag.is_empty() || prefix.tags.iter().any(|tag| *tag.slug == *request.tag))
                && (request.status.is_empty() || prefix.status == request.status)
                && (!request.leased_only || prefix.lease.is_some())
        };
        let rows: Vec<Arc<Prefix>> = match within {
            Some(within) => tables
                .iter()
                .flat_map(|table| index.prefixes_within(*table, within))
                .filter(matches)
                .cloned()
                .collect(),
            None => {
                tables.iter().flat_map(|table| index.prefixes_of(*table)).filter(matches).cloned().collect()
            }
        };
        let (rows, next_page_token) = page::cut(&rows, start.as_ref(), size, &filters, page::by_prefix);
        let today = self.clock.today();
        Ok(v1::ListPrefixesResponse {
            prefixes: rows.iter().map(|row| convert::prefix(&index, row, today)).collect(),
            next_page_token,
            cache: Some(self.state()),
        })
    }
}

#[tonic::async_trait]
impl PrefixService for Prefixes {
    async fn get_prefix(
        &self,
        request: Request<v1::GetPrefixRequest>,
    ) -> Result<Response<v1::GetPrefixResponse>, Status> {
        use v1::get_prefix_request::Key;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let target = match request.key {
            Some(Key::Id(id)) => Some(Target::Id(PrefixId(id))),
            Some(Key::Prefix(text)) => violations
                .network("prefix", &text)
                .map(|network| Target::Prefix(Table::from_number(request.vrf_id), network)),
            None => {
                violations.add("key", "id or prefix is required");
                None
            }
        };
        let target = violations.finish_with(target)?;
        self.ready()?;
        let index = self.cache.snapshot();
        let found = prefix_of(&index, target).map_err(Problem::from)?;
        Ok(Response::new(v1::GetPrefixResponse {
            prefix: Some(convert::prefix(&index, &found, self.clock.today())),
            cache: Some(self.state()),
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
    ) -> Result<Response<Answer>, Status> {
        let request = request.get_ref();
        match request.as_of {
            None => Ok(Response::new(self.look_up(&request.address, request.vrf_id)?)),
            // Boxed, since it waits for much: what every call is moved about in stays small.
            Some(at) => Ok(Response::new(Box::pin(self.as_of(&request.address, request.vrf_id, at)).await?)),
        }
    }

    async fn batch_lookup_addresses(
        &self,
        request: Request<v1::BatchLookupAddressesRequest>,
    ) -> Result<Response<BatchAnswer>, Status> {
        let request = request.get_ref();
        let mut violations = Violations::default();
        if request.addresses.is_empty() || request.addresses.len() > 1000 {
            violations.add("addresses", format!("{} given, 1 to 1000 are allowed", request.addresses.len()));
        }
        let hosts: Vec<IpAddr> = request
            .addresses
            .iter()
            .enumerate()
            .filter_map(|(nth, text)| violations.host(&format!("addresses[{nth}]"), text))
            .collect();
        violations.finish()?;
        self.ready()?;
        let table = Table::from_number(request.vrf_id);
        let results = hosts.into_iter().map(|host| self.answer(table, host)).collect();
        Ok(Response::new(BatchAnswer { results }))
    }

    type StreamLookupAddressesStream = Pin<Box<dyn Stream<Item = Result<StreamAnswer, Status>> + Send>>;

    async fn stream_lookup_addresses(
        &self,
        request: Request<Streaming<v1::StreamLookupAddressesRequest>>,
    ) -> Result<Response<Self::StreamLookupAddressesStream>, Status> {
        let this = self.clone();
        let answers = request.into_inner().map(move |request| {
            let request = request?;
            let result = this.look_up(&request.address, request.vrf_id)?;
            Ok(StreamAnswer { result: Some(result) })
        });
        // The first refusal ends the stream: what follows it could not be told apart.
        let mut refused = false;
        let until_refused = answers.take_while(move |answer| {
            let go_on = !refused;
            refused |= answer.is_err();
            std::future::ready(go_on)
        });
        Ok(Response::new(until_refused.boxed()))
    }
}
