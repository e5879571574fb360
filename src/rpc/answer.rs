//! The answers of the lookups, as messages whose records are encoded already.
//!
//! Encoding the records takes most of the time of a lookup, so their encoded bytes are reused ([`super::encoded_cache`]). A message
//! is its fields, one after another, so [`LookupAnswer`] writes what is encoded as it is, and is `LookupAddressResponse` on the wire.
//! proto/build.rs puts the types of this file in the place of the generated ones in the server code. Field numbers and types must be
//! those of prefix_service.proto; the property test of encoded_cache.rs compares the bytes of both.

use std::net::IpAddr;

use jiff::civil::Date;
use prost::bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{DecodeContext, WireType, message, skip_field, string};
use prost::{DecodeError, Message};

use super::convert;
use super::parse::View;
use super::proto::google::rpc;
use super::proto::v1;
use crate::cache::{Index, Lookup};
use crate::model::{Address, Prefix};

const ADDRESS: u32 = 1;
const CHAIN: u32 = 2;
const LEASE: u32 = 3;
const RECORDS: u32 = 4;
const CACHE: u32 = 5;
const AS_OF_TIME: u32 = 6;
const KNOWN_SINCE_TIME: u32 = 7;

/// The message `LookupAddressResponse`, with its records encoded already. It is written only: what is read into it is dropped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LookupAnswer {
    pub(super) address: String,
    /// The fields `chain` and `lease`.
    pub(super) chain: Bytes,
    /// The field `records`, the records of the host.
    pub(super) records: Bytes,
    pub(super) cache: Option<v1::CacheState>,
    pub(super) as_of_time: Option<prost_types::Timestamp>,
    pub(super) known_since_time: Option<prost_types::Timestamp>,
}

fn put(tag: u32, field: Option<&impl Message>, buffer: &mut impl BufMut) {
    if let Some(field) = field {
        message::encode(tag, field, buffer);
    }
}

fn length(tag: u32, field: Option<&impl Message>) -> usize {
    field.map_or(0, |field| message::encoded_len(tag, field))
}

impl Message for LookupAnswer {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        let Self { address, chain, records, cache, as_of_time, known_since_time } = self;
        string::encode(ADDRESS, address, buffer);
        buffer.put_slice(chain);
        buffer.put_slice(records);
        put(CACHE, cache.as_ref(), buffer);
        put(AS_OF_TIME, as_of_time.as_ref(), buffer);
        put(KNOWN_SINCE_TIME, known_since_time.as_ref(), buffer);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buffer, context)
    }

    fn encoded_len(&self) -> usize {
        let Self { address, chain, records, cache, as_of_time, known_since_time } = self;
        string::encoded_len(ADDRESS, address)
            + chain.len()
            + records.len()
            + length(CACHE, cache.as_ref())
            + length(AS_OF_TIME, as_of_time.as_ref())
            + length(KNOWN_SINCE_TIME, known_since_time.as_ref())
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
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

/// The encoded fields `chain` and `lease` of a lookup. The phase and the days left of leases are those of `today`.
pub(super) fn encode_chain<'a>(
    index: &Index,
    chain: impl Iterator<Item = &'a Prefix>,
    today: Date,
    view: View,
) -> Bytes {
    let (mut fields, mut covering) = (BytesMut::new(), None);
    for prefix in chain {
        let mut link = convert::prefix(index, prefix, today, view);
        // The last prefix of the chain that carries a lease is the most specific one, so its lease is the covering lease.
        let lease = match view {
            View::Full => link.lease.clone(),
            View::Basic => link.lease.take(),
        };
        covering = lease.or(covering);
        message::encode(CHAIN, &link, &mut fields);
    }
    put(LEASE, covering.as_ref(), &mut fields);
    fields.freeze()
}

/// The encoded field `records` of a lookup.
pub(super) fn encode_records<'a>(
    index: &Index,
    records: impl Iterator<Item = &'a Address>,
    view: View,
) -> Bytes {
    let mut field = BytesMut::new();
    for record in records {
        message::encode(RECORDS, &convert::address(index, record, view), &mut field);
    }
    field.freeze()
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
        Self {
            address: host.to_string(),
            chain: encode_chain(index, found.chain.iter().map(|prefix| &***prefix), day, view),
            records: encode_records(index, found.records.iter().map(|record| &**record), view),
            ..Self::default()
        }
    }
}
