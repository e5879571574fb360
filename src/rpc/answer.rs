//! The answers of the lookups, as messages whose records are encoded already.
//!
//! Encoding the records takes most of the time of a lookup, so their encoded bytes are reused ([`super::encoded_cache`]). On the
//! wire an embedded message and a `bytes` field have the same form: a length, then the content. [`LookupAnswer`] is therefore
//! `LookupAddressResponse` with each record declared as bytes. proto/build.rs puts the types of this file in the place of the
//! generated ones in the server code. Field numbers and types must be those of prefix_service.proto; the property test of
//! encoded_cache.rs compares the bytes of both.

use std::net::IpAddr;

use jiff::civil::Date;
use prost::Message;
use prost::bytes::Bytes;

use super::convert;
use super::parse::View;
use super::proto::google::rpc;
use super::proto::v1;
use crate::cache::{Index, Lookup};
use crate::model::{Address, Prefix};

/// The message `LookupAddressResponse`, with its records encoded already.
#[derive(Clone, PartialEq, Message)]
pub struct LookupAnswer {
    #[prost(string, tag = "1")]
    pub address: String,
    /// Encoded `Prefix` messages, the most specific last.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub chain: Vec<Bytes>,
    /// An encoded `Lease` message.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub lease: Option<Bytes>,
    /// Encoded `Address` messages, ordered by id.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub records: Vec<Bytes>,
    #[prost(message, optional, tag = "5")]
    pub cache: Option<v1::CacheState>,
    #[prost(message, optional, tag = "6")]
    pub as_of_time: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "7")]
    pub known_since_time: Option<prost_types::Timestamp>,
}

/// The message `BatchLookupAddressesResponse`, with its records encoded already.
#[derive(Clone, PartialEq, Message)]
pub struct BatchLookupAnswer {
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<LookupAnswer>,
    #[prost(message, optional, tag = "2")]
    pub cache: Option<v1::CacheState>,
}

/// The message `StreamLookupAddressesResponse`, with its records encoded already.
#[derive(Clone, PartialEq, Message)]
pub struct StreamLookupAnswer {
    #[prost(oneof = "StreamLookupOutcome", tags = "1, 2")]
    pub outcome: Option<StreamLookupOutcome>,
}

/// The oneof `outcome` of `StreamLookupAddressesResponse`.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum StreamLookupOutcome {
    #[prost(message, tag = "1")]
    Result(LookupAnswer),
    #[prost(message, tag = "2")]
    Error(rpc::Status),
}

/// The encoded message of a prefix or an address, in one view.
#[derive(Clone, Debug)]
pub(super) struct EncodedRecord {
    record: Bytes,
    /// The encoded lease that a prefix carries itself; `None` for an address.
    lease: Option<Bytes>,
}

impl EncodedRecord {
    /// Encodes a prefix of a chain. The phase and the days left of its lease are those of `today`.
    pub(super) fn prefix(index: &Index, prefix: &Prefix, today: Date, view: View) -> Self {
        let mut message = convert::prefix(index, prefix, today, view);
        let lease = message.lease.as_ref().map(|lease| lease.encode_to_vec().into());
        if view == View::Basic {
            message.lease = None;
        }
        Self { record: message.encode_to_vec().into(), lease }
    }

    /// Encodes an address, which carries no lease.
    pub(super) fn address(index: &Index, address: &Address, view: View) -> Self {
        Self { record: convert::address(index, address, view).encode_to_vec().into(), lease: None }
    }
}

impl LookupAnswer {
    /// The answer for a day of the past. Its records are encoded for this call alone: they are not those of the cache.
    pub(super) fn of_the_past(
        index: &Index,
        host: IpAddr,
        found: &Lookup<'_>,
        day: Date,
        view: View,
    ) -> Self {
        Self::of(
            host,
            found.chain.iter().map(|prefix| EncodedRecord::prefix(index, prefix, day, view)),
            found.records.iter().map(|address| EncodedRecord::address(index, address, view)),
        )
    }

    /// Puts an answer together. `prefixes` is the chain, the most specific last.
    pub(super) fn of(
        host: IpAddr,
        prefixes: impl ExactSizeIterator<Item = EncodedRecord>,
        addresses: impl Iterator<Item = EncodedRecord>,
    ) -> Self {
        let mut answer = Self { address: host.to_string(), ..Self::default() };
        answer.chain.reserve_exact(prefixes.len());
        for prefix in prefixes {
            // The last prefix of the chain that carries a lease is the most specific one, so its lease is the covering lease.
            answer.lease = prefix.lease.or(answer.lease);
            answer.chain.push(prefix.record);
        }
        answer.records = addresses.map(|address| address.record).collect();
        answer
    }
}
