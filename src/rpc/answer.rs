//! What a look-up answers, put together from bytes: a record is rendered and encoded once, not once a call.
//!
//! An embedded message and a field of `bytes` are the same on the wire. So an [`Answer`] is a `LookupAddressResponse` whose
//! records stand in it as they were encoded before ([`Shelves`]), and the generated server sends it in that one's place
//! (proto/build.rs). Whoever reads it sees no difference.

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use jiff::civil::Date;
use prost::Message;
use prost::bytes::Bytes;

use super::convert;
use super::proto::v1;
use crate::cache::{Index, Lookup};
use crate::model::{Address, Prefix, Table, Vrf};

/// `LookupAddressResponse`, field by field.
#[derive(Clone, PartialEq, Message)]
pub struct Answer {
    /// The address asked for.
    #[prost(string, tag = "1")]
    pub address: String,
    /// Each a `Prefix`.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub chain: Vec<Bytes>,
    /// A `Lease`.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub lease: Option<Bytes>,
    /// Each an `Address`.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub records: Vec<Bytes>,
    /// How old it may be.
    #[prost(message, optional, tag = "5")]
    pub cache: Option<v1::CacheState>,
    /// The instant that is answered for.
    #[prost(message, optional, tag = "6")]
    pub as_of: Option<prost_types::Timestamp>,
    /// From when on answers are known.
    #[prost(message, optional, tag = "7")]
    pub known_since: Option<prost_types::Timestamp>,
}

/// `BatchLookupAddressesResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct BatchAnswer {
    /// One for each address.
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<Answer>,
}

/// `StreamLookupAddressesResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct StreamAnswer {
    /// What the record says of it.
    #[prost(message, optional, tag = "1")]
    pub result: Option<Answer>,
}

/// A prefix on the wire, and the lease that it carries.
#[derive(Clone, Debug)]
struct Encoded {
    record: Bytes,
    lease: Option<Bytes>,
}

impl Encoded {
    fn prefix(index: &Index, prefix: &Prefix, today: Date) -> Self {
        let message = convert::prefix(index, prefix, today);
        Self {
            record: message.encode_to_vec().into(),
            lease: message.lease.map(|lease| lease.encode_to_vec().into()),
        }
    }

    fn address(index: &Index, address: &Address) -> Self {
        Self { record: convert::address(index, address).encode_to_vec().into(), lease: None }
    }
}

/// Places of a shelf: what is kept is bounded, whatever is asked for.
const PLACES: usize = 1 << 16;

/// The encoded records that were asked for lately.
#[derive(Debug)]
pub(super) struct Shelves {
    prefixes: Shelf<Prefix>,
    addresses: Shelf<Address>,
}

impl Shelves {
    pub(super) fn new() -> Self {
        Self { prefixes: Shelf::new(), addresses: Shelf::new() }
    }

    /// What the records found say today.
    pub(super) fn answer(&self, index: &Index, table: Table, host: IpAddr, today: Date) -> Answer {
        let found = index.lookup(table, host);
        // A record stands in the table that it is looked up in, so its VRF is that one.
        let vrf = table.vrf().and_then(|id| index.vrf(id));
        Answer::of(
            host,
            found.chain.iter().map(|prefix| {
                self.prefixes.take(prefix.id.0, prefix, vrf, today, || Encoded::prefix(index, prefix, today))
            }),
            found.records.iter().map(|address| {
                self.addresses.take(address.id.0, address, vrf, today, || Encoded::address(index, address))
            }),
        )
    }
}

impl Answer {
    /// What records that stood then say of that day: they are nobody's to keep.
    pub(super) fn of_the_past(index: &Index, host: IpAddr, found: &Lookup<'_>, then: Date) -> Self {
        Self::of(
            host,
            found.chain.iter().map(|prefix| Encoded::prefix(index, prefix, then)),
            found.records.iter().map(|address| Encoded::address(index, address)),
        )
    }

    fn of(
        host: IpAddr,
        prefixes: impl ExactSizeIterator<Item = Encoded>,
        addresses: impl Iterator<Item = Encoded>,
    ) -> Self {
        let mut answer = Self { address: host.to_string(), ..Self::default() };
        answer.chain.reserve_exact(prefixes.len());
        for prefix in prefixes {
            // The most specific comes last, and its lease is the one that covers.
            answer.lease = prefix.lease.or(answer.lease);
            answer.chain.push(prefix.record);
        }
        answer.records = addresses.map(|address| address.record).collect();
        answer
    }
}

/// Encoded records of one kind, readable without a lock. A record's place follows from its id; two that share one take turns.
#[derive(Debug)]
struct Shelf<T> {
    places: Box<[ArcSwapOption<Kept<T>>]>,
}

/// What was encoded, and all that it was made of: of another version of the record or of its VRF, or on another day, it
/// would be another. Versions are told apart by where they lie: while a [`Weak`] points there, nothing else can.
#[derive(Debug)]
struct Kept<T> {
    record: Weak<T>,
    vrf: Option<Weak<Vrf>>,
    day: Date,
    encoded: Encoded,
}

impl<T> Kept<T> {
    fn is_of(&self, record: &Arc<T>, vrf: Option<&Arc<Vrf>>, day: Date) -> bool {
        let same_vrf = match (&self.vrf, vrf) {
            (None, None) => true,
            (Some(kept), Some(vrf)) => std::ptr::eq(kept.as_ptr(), Arc::as_ptr(vrf)),
            _ => false,
        };
        same_vrf && self.day == day && std::ptr::eq(self.record.as_ptr(), Arc::as_ptr(record))
    }
}

impl<T> Shelf<T> {
    fn new() -> Self {
        Self { places: std::iter::repeat_with(ArcSwapOption::empty).take(PLACES).collect() }
    }

    /// What is kept of this record as it is, or else what `encode` makes of it, kept from now on.
    fn take(
        &self,
        id: u64,
        record: &Arc<T>,
        vrf: Option<&Arc<Vrf>>,
        day: Date,
        encode: impl FnOnce() -> Encoded,
    ) -> Encoded {
        let place = usize::try_from(id).ok().and_then(|id| self.places.get(id % PLACES));
        let kept = place.map(ArcSwapOption::load);
        if let Some(kept) = kept.as_deref().and_then(Option::as_ref)
            && kept.is_of(record, vrf, day)
        {
            return kept.encoded.clone();
        }
        let encoded = encode();
        if let Some(place) = place {
            place.store(Some(Arc::new(Kept {
                record: Arc::downgrade(record),
                vrf: vrf.map(Arc::downgrade),
                day,
                encoded: encoded.clone(),
            })));
        }
        encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Batch, Cache, StoreIdentity};
    use crate::model::{AddressId, Lease, NamedRef, PrefixId, Revision, Term, VrfId};
    use jiff::civil::date;
    use jiff::{Timestamp, ToSpan as _};
    use proptest::prelude::*;

    const CUSTOMERS: Table = Table::Vrf(VrfId(7));
    const HOST: &str = "203.0.113.5";

    /// What happens between two look-ups.
    #[derive(Clone, Debug)]
    enum Step {
        Put(Box<Prefix>),
        Gone(u64),
        PutAddress(Box<Address>),
        AddressGone(u64),
        Named(String),
        Unnamed,
        Midnight,
        Nothing,
    }

    fn prefix(id: u64, network: &str, table: Table, lease: Option<Lease>) -> Prefix {
        Prefix { lease: lease.map(Box::new), ..Prefix::bare(PrefixId(id), network.parse().unwrap(), table) }
    }

    fn lease(owner: &str, days: i64) -> Lease {
        let expiry = Some(date(2026, 6, 1) + days.days());
        Lease { owner: Some(owner.into()), term: Term { expiry, ..Term::default() }, ..Lease::default() }
    }

    /// Ids of which two share a place on the shelf.
    fn id() -> impl Strategy<Value = u64> {
        prop::sample::select(vec![1, 2, 3, 1 + PLACES as u64])
    }

    fn tenant() -> impl Strategy<Value = Option<NamedRef>> {
        prop::option::of("[a-z]{1,3}").prop_map(|name| {
            name.map(|name| NamedRef { id: 12, name: name.as_str().into(), slug: "example-hosting".into() })
        })
    }

    fn table() -> impl Strategy<Value = Table> {
        prop::sample::select(vec![Table::Global, CUSTOMERS])
    }

    fn revision() -> impl Strategy<Value = Revision> {
        prop::option::of(0i64..2)
            .prop_map(|second| Revision(second.map(|at| Timestamp::from_second(at).unwrap())))
    }

    fn step() -> impl Strategy<Value = Step> {
        let networks = vec!["203.0.0.0/16", "203.0.113.0/24", "203.0.113.4/30", "203.0.113.5/32"];
        let leases = prop::option::of(("[A-Z]{0,3}", -3i64..4).prop_map(|(owner, days)| lease(&owner, days)));
        let prefixes =
            (id(), prop::sample::select(networks), table(), leases, tenant(), "[a-z]{0,2}", revision());
        let addresses = (id(), table(), tenant(), "[a-z]{0,2}", revision());
        prop_oneof![
            4 => prefixes.prop_map(|(id, network, table, lease, tenant, field, revision)| {
                let mut put = Prefix { tenant, revision, ..prefix(id, network, table, lease) };
                put.custom_fields.insert("rack".to_owned(), field.into());
                Step::Put(Box::new(put))
            }),
            1 => id().prop_map(Step::Gone),
            2 => addresses.prop_map(|(id, table, tenant, dns_name, revision)| {
                Step::PutAddress(Box::new(Address {
                    id: AddressId(id),
                    interface: "203.0.113.5/24".parse().unwrap(),
                    table,
                    status: "active".into(),
                    role: None,
                    tenant,
                    tags: vec![],
                    dns_name,
                    description: String::new(),
                    allocation: None,
                    custom_fields: serde_json::Map::new(),
                    revision,
                }))
            }),
            1 => id().prop_map(Step::AddressGone),
            1 => "[a-z]{0,2}".prop_map(Step::Named),
            1 => Just(Step::Unnamed),
            1 => Just(Step::Midnight),
            1 => Just(Step::Nothing),
        ]
    }

    fn batch(step: Step) -> Batch {
        match step {
            Step::Put(prefix) => Batch::from(vec![*prefix]),
            Step::Gone(id) => Batch { gone_prefixes: vec![id], ..Batch::default() },
            Step::PutAddress(address) => Batch::from(vec![*address]),
            Step::AddressGone(id) => Batch { gone_addresses: vec![id], ..Batch::default() },
            Step::Named(name) => {
                let rd = Some("64500:7".to_owned());
                let vrf = Vrf { id: VrfId(7), name, rd, enforce_unique: true, revision: Revision(None) };
                Batch { vrfs: vec![vrf], ..Batch::default() }
            }
            Step::Unnamed => Batch { gone_vrfs: vec![7], ..Batch::default() },
            Step::Midnight | Step::Nothing => Batch::default(),
        }
    }

    /// The message that an answer stands for, of types that are generated.
    fn rendered(index: &Index, table: Table, host: IpAddr, today: Date) -> v1::LookupAddressResponse {
        let found = index.lookup(table, host);
        v1::LookupAddressResponse {
            address: host.to_string(),
            chain: found.chain.iter().map(|held| convert::prefix(index, held, today)).collect(),
            lease: found.covering().map(|(prefix, lease)| convert::lease(prefix, lease, today)),
            records: found.records.iter().map(|record| convert::address(index, record)).collect(),
            ..v1::LookupAddressResponse::default()
        }
    }

    async fn empty() -> Cache {
        Cache::open(None, &StoreIdentity("http://netbox.example/".to_owned())).await.unwrap().0
    }

    #[tokio::test]
    async fn a_record_is_encoded_once_for_as_long_as_nothing_changes() {
        let (cache, shelves, host) = (empty().await, Shelves::new(), HOST.parse().unwrap());
        let leased = prefix(1, "203.0.113.0/24", Table::Global, Some(lease("ACME-LIR", 0)));
        cache.apply(Batch::from(vec![leased])).await.unwrap();
        let ask = |today| shelves.answer(&cache.snapshot(), Table::Global, host, today);
        let first = ask(date(2026, 6, 1));
        let again = ask(date(2026, 6, 1));
        assert_eq!(again, first);
        assert_eq!(again.chain[0].as_ptr(), first.chain[0].as_ptr());
        let days = |answer: &Answer| v1::Lease::decode(answer.lease.clone().unwrap()).unwrap().days_left;
        assert_eq!((days(&first), days(&ask(date(2026, 6, 2)))), (Some(0), Some(-1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn it_is_to_the_byte_what_would_be_rendered_whatever_happened_before(
            steps in prop::collection::vec(step(), 1..40),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (cache, shelves) = (runtime.block_on(empty()), Shelves::new());
            let host: IpAddr = HOST.parse().unwrap();
            let mut today = date(2026, 6, 1);
            for step in steps {
                if matches!(step, Step::Midnight) {
                    today = today.tomorrow().unwrap();
                }
                runtime.block_on(cache.apply(batch(step))).unwrap();
                let index = cache.snapshot();
                for table in [Table::Global, CUSTOMERS] {
                    let wanted = rendered(&index, table, host, today).encode_to_vec();
                    prop_assert_eq!(shelves.answer(&index, table, host, today).encode_to_vec(), wanted.clone());
                    let past = Answer::of_the_past(&index, host, &index.lookup(table, host), today);
                    prop_assert_eq!(past.encode_to_vec(), wanted);
                }
            }
        }
    }
}
