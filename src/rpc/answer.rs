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
    pub as_of: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "7")]
    pub known_since: Option<prost_types::Timestamp>,
}

/// The message `BatchLookupAddressesResponse`, with its records encoded already.
#[derive(Clone, PartialEq, Message)]
pub struct BatchLookupAnswer {
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<LookupAnswer>,
}

/// The message `StreamLookupAddressesResponse`, with its records encoded already.
#[derive(Clone, PartialEq, Message)]
pub struct StreamLookupAnswer {
    #[prost(message, optional, tag = "1")]
    pub result: Option<LookupAnswer>,
}

/// The encoded message of a prefix or an address.
#[derive(Clone, Debug)]
pub(super) struct EncodedRecord {
    record: Bytes,
    /// The encoded lease that a prefix carries itself; `None` for an address.
    lease: Option<Bytes>,
}

impl EncodedRecord {
    /// Encodes a prefix. The phase and the days left of its lease are those of `today`.
    pub(super) fn prefix(index: &Index, prefix: &Prefix, today: Date) -> Self {
        let message = convert::prefix(index, prefix, today);
        Self {
            record: message.encode_to_vec().into(),
            lease: message.lease.map(|lease| lease.encode_to_vec().into()),
        }
    }

    /// Encodes an address, which carries no lease.
    pub(super) fn address(index: &Index, address: &Address) -> Self {
        Self { record: convert::address(index, address).encode_to_vec().into(), lease: None }
    }
}

impl LookupAnswer {
    /// The answer for a day of the past. Its records are encoded for this call alone: they are not those of the cache.
    pub(super) fn of_the_past(index: &Index, host: IpAddr, found: &Lookup<'_>, day: Date) -> Self {
        Self::of(
            host,
            found.chain.iter().map(|prefix| EncodedRecord::prefix(index, prefix, day)),
            found.records.iter().map(|address| EncodedRecord::address(index, address)),
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
