//! Questions about single records: by id, by address or prefix, and by the request that allocated them.
//!
//! Each answers from NetBox itself, not from the cache, and follows pages to the end. NetBox ignores filters that it does
//! not know, so every answer is filtered again here.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::client::Client;
use super::error::NetBoxResult;
use super::fields::Field;
use super::records::NetBoxRecord;
use super::request::QueryParameter;
use crate::model::{Address, AllocationId, Network, Prefix, RequestId, VrfScope};

impl Client {
    /// The records with these ids, in no particular order (GET of the record's endpoint with `id=`). Ids that NetBox does
    /// not have are missing from the answer; that is no error.
    pub async fn by_ids<R: NetBoxRecord>(&self, ids: &[u64]) -> NetBoxResult<Vec<R>> {
        let values: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let rows = self.rows_with_any(R::PATH, R::FIELDS, &[], "id", &values).await?;
        let wanted: BTreeSet<u64> = ids.iter().copied().collect();
        let mut found: Vec<R> = self.parse_rows(&rows)?;
        found.retain(|record| wanted.contains(&record.id()));
        Ok(found)
    }

    /// The records with these ids that exist, and the ids of those that do not.
    pub async fn read_again<R: NetBoxRecord>(&self, ids: &BTreeSet<u64>) -> NetBoxResult<(Vec<R>, Vec<u64>)> {
        let wanted: Vec<u64> = ids.iter().copied().collect();
        let found: Vec<R> = self.by_ids(&wanted).await?;
        let existing: BTreeSet<u64> = found.iter().map(NetBoxRecord::id).collect();
        Ok((found, wanted.into_iter().filter(|id| !existing.contains(id)).collect()))
    }

    /// The records of these addresses in one scope, whatever their mask (GET /api/ipam/ip-addresses/ with `address=`). A
    /// scope that does not enforce uniqueness may hold several records of one address.
    pub async fn addresses_at(&self, scope: VrfScope, hosts: &[IpAddr]) -> NetBoxResult<Vec<Address>> {
        let values: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let common = [in_scope(scope)];
        let rows = self.rows_with_any(Address::PATH, Address::FIELDS, &common, "address", &values).await?;
        let wanted: BTreeSet<IpAddr> = hosts.iter().copied().collect();
        let mut found: Vec<Address> = self.parse_rows(&rows)?;
        found.retain(|address| address.scope == scope && wanted.contains(&address.host()));
        Ok(found)
    }

    /// The addresses inside a network, in one scope (GET /api/ipam/ip-addresses/ with `parent=`).
    pub async fn addresses_within(&self, scope: VrfScope, network: Network) -> NetBoxResult<Vec<Address>> {
        let filters = [("parent", network.to_string()), in_scope(scope)];
        let mut found: Vec<Address> =
            self.parse_rows(&self.rows_with(Address::PATH, Address::FIELDS, &filters).await?)?;
        found.retain(|address| address.scope == scope && network.contains_address(address.host()));
        Ok(found)
    }

    /// The records of exactly this prefix in one scope (GET /api/ipam/prefixes/ with `prefix=`).
    pub async fn prefixes_at(&self, scope: VrfScope, network: Network) -> NetBoxResult<Vec<Prefix>> {
        let filters = [("prefix", network.to_string()), in_scope(scope)];
        let mut found: Vec<Prefix> =
            self.parse_rows(&self.rows_with(Prefix::PATH, Prefix::FIELDS, &filters).await?)?;
        found.retain(|prefix| prefix.scope == scope && prefix.network == network);
        Ok(found)
    }

    /// The prefixes inside a network in one scope, the network itself included (GET of /api/ipam/prefixes/
    /// with the filter `within_include=NETWORK`).
    pub async fn prefixes_within(&self, scope: VrfScope, network: Network) -> NetBoxResult<Vec<Prefix>> {
        let filters = [("within_include", network.to_string()), in_scope(scope)];
        let mut found: Vec<Prefix> =
            self.parse_rows(&self.rows_with(Prefix::PATH, Prefix::FIELDS, &filters).await?)?;
        found.retain(|prefix| prefix.scope == scope && network.contains(prefix.network));
        Ok(found)
    }

    /// The addresses that a request allocated, in the order of their index (GET /api/ipam/ip-addresses/ with a filter on
    /// the custom field `allocation_id`). `count` is how many the request asked for; deleted ones are missing.
    pub async fn addresses_by_allocation(
        &self,
        request: &RequestId,
        count: u32,
    ) -> NetBoxResult<Vec<Address>> {
        let mut found: Vec<Address> = self.by_allocation(request, count).await?;
        found.retain(|address| is_of(address.allocation.as_ref(), request));
        found.sort_by_key(|address| (address.allocation.as_ref().map(|id| id.index), address.id));
        found.dedup_by_key(|address| address.id);
        Ok(found)
    }

    /// The prefix that a request allocated, if it still exists (GET of /api/ipam/prefixes/ with a filter on
    /// the custom field `allocation_id`).
    pub async fn prefix_by_allocation(&self, request: &RequestId) -> NetBoxResult<Option<Prefix>> {
        let found: Vec<Prefix> = self.by_allocation(request, 1).await?;
        Ok(found.into_iter().find(|prefix| is_of(prefix.allocation.as_ref(), request)))
    }

    async fn by_allocation<R: NetBoxRecord>(&self, request: &RequestId, count: u32) -> NetBoxResult<Vec<R>> {
        let filter = format!("cf_{}", self.fields().name(Field::AllocationId));
        let values: Vec<String> = (0..count).map(|index| request.allocation(index).to_string()).collect();
        self.parse_rows(&self.rows_with_any(R::PATH, R::FIELDS, &[], &filter, &values).await?)
    }
}

/// The filter of one scope. NetBox spells the global table `vrf_id=null`.
fn in_scope(scope: VrfScope) -> QueryParameter<'static> {
    ("vrf_id", scope.vrf().map_or("null".to_owned(), |vrf| vrf.to_string()))
}

fn is_of(allocation: Option<&AllocationId>, request: &RequestId) -> bool {
    allocation.is_some_and(|id| id.request == *request)
}
