//! Encoded records, kept between lookups so that a record is encoded once and not once a call.
//!
//! Kept together is what is looked up together: the prefixes that contain a host, and the records of a host. The invariant: an entry
//! is used only if encoding its records now would give the same bytes. The bytes depend on four things. The view decides which slots
//! the entry is in. The entry remembers the other three: the versions of the records, the version of their VRF (whose name and RD they
//! show), and the day (from which the phase and the days left of a lease follow). Records of the cache are never changed in place: a
//! new version is a new allocation. So two versions are distinguished by their address in memory, and the entry holds a [`Weak`] to
//! each record, which keeps the allocation from being reused for another record while the entry exists.

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use jiff::civil::Date;
use prost::bytes::Bytes;
use smallvec::SmallVec;

use super::answer::{LookupAnswer, encode_chain, encode_records};
use super::parse::View;
use crate::cache::Index;
use crate::model::{Address, Prefix, Vrf, VrfScope};

/// Slots for each kind of entry in each view. It bounds the memory, whatever is looked up.
const SLOTS: usize = 1 << 16;

/// The encoded records of recent lookups. Readers and writers take no lock: an entry is replaced as a whole, and of two calls
/// that encode the same records at once the later one wins, with the same bytes.
#[derive(Debug)]
pub(super) struct EncodedCache {
    full: ViewSlots,
    basic: ViewSlots,
}

/// The entries of one view.
#[derive(Debug)]
struct ViewSlots {
    /// By the id of the most specific prefix.
    chains: Slots<Prefix>,
    /// By the id of the first record.
    records: Slots<Address>,
}

impl EncodedCache {
    /// A cache without entries.
    pub(super) fn new() -> Self {
        let view = || ViewSlots { chains: Slots::new(), records: Slots::new() };
        Self { full: view(), basic: view() }
    }

    /// The answer to a lookup in one snapshot, for the day `today`.
    pub(super) fn answer(
        &self,
        index: &Index,
        scope: VrfScope,
        host: IpAddr,
        today: Date,
        view: View,
    ) -> LookupAnswer {
        let slots = match view {
            View::Full => &self.full,
            View::Basic => &self.basic,
        };
        let found = index.lookup(scope, host);
        // Every record that a lookup finds belongs to the scope of the lookup, so this is the VRF of all of them.
        let vrf = scope.vrf().and_then(|id| index.vrf(id));
        let chain = found.chain.last().map_or_else(Bytes::new, |last| {
            let chain = found.chain.iter().copied();
            let encode = || encode_chain(index, chain.clone().map(|prefix| &**prefix), today, view);
            slots.chains.get_or_encode(last.id.0, chain.clone(), vrf, today, encode)
        });
        let records = found.records.first().map_or_else(Bytes::new, |first| {
            let encode = || encode_records(index, found.records.iter().map(|record| &**record), view);
            slots.records.get_or_encode(first.id.0, found.records.iter(), vrf, today, encode)
        });
        LookupAnswer { address: host.to_string(), chain, records, ..LookupAnswer::default() }
    }
}

/// The entries of one kind of record. The slot of an entry is an id modulo [`SLOTS`]; of entries that share a slot, the one that was
/// looked up last has it.
#[derive(Debug)]
struct Slots<T> {
    slots: Box<[ArcSwapOption<Entry<T>>]>,
}

/// Encoded bytes, and what they were made of.
#[derive(Debug)]
struct Entry<T> {
    records: SmallVec<[Weak<T>; 4]>,
    vrf: Option<Weak<Vrf>>,
    day: Date,
    encoded: Bytes,
}

impl<T> Entry<T> {
    /// Whether the bytes are those of these versions of the records and of their VRF, on this day.
    fn is_of<'a>(
        &self,
        mut records: impl Iterator<Item = &'a Arc<T>>,
        vrf: Option<&Arc<Vrf>>,
        day: Date,
    ) -> bool
    where
        T: 'a,
    {
        let same_vrf = match (&self.vrf, vrf) {
            (None, None) => true,
            (Some(held), Some(vrf)) => same(held, vrf),
            _ => false,
        };
        let mut held = self.records.iter();
        let same_records = held.all(|held| records.next().is_some_and(|record| same(held, record)));
        same_vrf && self.day == day && same_records && records.next().is_none()
    }
}

/// Whether both are the same version of a record.
fn same<T>(held: &Weak<T>, record: &Arc<T>) -> bool {
    std::ptr::eq(held.as_ptr(), Arc::as_ptr(record))
}

impl<T> Slots<T> {
    fn new() -> Self {
        Self { slots: std::iter::repeat_with(ArcSwapOption::empty).take(SLOTS).collect() }
    }

    /// The encoded records: from their slot if the entry there is of the same versions and day, otherwise from `encode`, which
    /// then fills the slot.
    fn get_or_encode<'a>(
        &self,
        id: u64,
        records: impl Iterator<Item = &'a Arc<T>> + Clone,
        vrf: Option<&Arc<Vrf>>,
        day: Date,
        encode: impl FnOnce() -> Bytes,
    ) -> Bytes
    where
        T: 'a,
    {
        let slot = usize::try_from(id).ok().and_then(|id| self.slots.get(id % SLOTS));
        let held = slot.map(ArcSwapOption::load);
        if let Some(entry) = held.as_deref().and_then(Option::as_ref)
            && entry.is_of(records.clone(), vrf, day)
        {
            return entry.encoded.clone();
        }
        let encoded = encode();
        if let Some(slot) = slot {
            slot.store(Some(Arc::new(Entry {
                records: records.map(Arc::downgrade).collect(),
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
    use crate::cache::{Batch, Cache};
    use crate::model::{AddressId, Lease, NamedRef, PrefixId, RecordState, Revision, Term, VrfId};
    use crate::rpc::convert;
    use crate::rpc::proto::v1;
    use jiff::civil::date;
    use jiff::{Timestamp, ToSpan as _};
    use proptest::prelude::*;
    use prost::Message as _;

    const CUSTOMERS: VrfScope = VrfScope::Vrf(VrfId(7));
    const HOST: &str = "203.0.113.5";

    /// A change between two lookups.
    #[derive(Clone, Debug)]
    enum Step {
        PutPrefix(Box<Prefix>),
        DeletePrefix(u64),
        PutAddress(Box<Address>),
        DeleteAddress(u64),
        NameVrf(String),
        DeleteVrf,
        Midnight,
        Nothing,
    }

    fn prefix(id: u64, network: &str, scope: VrfScope, lease: Option<Lease>) -> Prefix {
        Prefix { lease: lease.map(Box::new), ..Prefix::bare(PrefixId(id), network.parse().unwrap(), scope) }
    }

    fn lease(owner: &str, days: i64) -> Lease {
        let expiry = Some(date(2026, 6, 1) + days.days());
        Lease { owner: Some(owner.into()), term: Term { expiry, ..Term::default() }, ..Lease::default() }
    }

    /// Ids of which two share a slot.
    fn id() -> impl Strategy<Value = u64> {
        prop::sample::select(vec![1, 2, 3, 1 + SLOTS as u64])
    }

    fn tenant() -> impl Strategy<Value = Option<NamedRef>> {
        prop::option::of("[a-z]{1,3}").prop_map(|name| {
            name.map(|name| NamedRef { id: 12, name: name.as_str().into(), slug: "example-hosting".into() })
        })
    }

    fn scope() -> impl Strategy<Value = VrfScope> {
        prop::sample::select(vec![VrfScope::Global, CUSTOMERS])
    }

    fn revision() -> impl Strategy<Value = Revision> {
        prop::option::of(0i64..2)
            .prop_map(|second| Revision(second.map(|at| Timestamp::from_second(at).unwrap())))
    }

    fn step() -> impl Strategy<Value = Step> {
        let networks = vec!["203.0.0.0/16", "203.0.113.0/24", "203.0.113.4/30", "203.0.113.5/32"];
        let leases = prop::option::of(("[A-Z]{0,3}", -3i64..4).prop_map(|(owner, days)| lease(&owner, days)));
        let prefixes =
            (id(), prop::sample::select(networks), scope(), leases, tenant(), "[a-z]{0,2}", revision());
        let addresses = (id(), scope(), tenant(), "[a-z]{0,2}", revision());
        prop_oneof![
            4 => prefixes.prop_map(|(id, network, scope, lease, tenant, field, revision)| {
                let mut put = Prefix { tenant, revision, ..prefix(id, network, scope, lease) };
                put.custom_fields.insert("rack".to_owned(), field.into());
                Step::PutPrefix(Box::new(put))
            }),
            1 => id().prop_map(Step::DeletePrefix),
            2 => addresses.prop_map(|(id, scope, tenant, dns_name, revision)| {
                Step::PutAddress(Box::new(Address {
                    id: AddressId(id),
                    interface: "203.0.113.5/24".parse().unwrap(),
                    scope,
                    status: "active".into(),
                    role: None,
                    tenant,
                    tags: vec![],
                    dns_name,
                    description: String::new(),
                    allocation: None,
                    custom_fields: serde_json::Map::new(),
                    revision,
                    record_state: RecordState::Recorded,
                }))
            }),
            1 => id().prop_map(Step::DeleteAddress),
            1 => "[a-z]{0,2}".prop_map(Step::NameVrf),
            1 => Just(Step::DeleteVrf),
            1 => Just(Step::Midnight),
            1 => Just(Step::Nothing),
        ]
    }

    fn batch(step: Step) -> Batch {
        match step {
            Step::PutPrefix(prefix) => Batch::from(vec![*prefix]),
            Step::DeletePrefix(id) => Batch { deleted_prefixes: vec![id], ..Batch::default() },
            Step::PutAddress(address) => Batch::from(vec![*address]),
            Step::DeleteAddress(id) => Batch { deleted_addresses: vec![id], ..Batch::default() },
            Step::NameVrf(name) => {
                let rd = Some("64500:7".to_owned());
                let vrf = Vrf { id: VrfId(7), name, rd, enforce_unique: true, revision: Revision(None) };
                Batch { vrfs: vec![vrf], ..Batch::default() }
            }
            Step::DeleteVrf => Batch { deleted_vrfs: vec![7], ..Batch::default() },
            Step::Midnight | Step::Nothing => Batch::default(),
        }
    }

    /// The same answer as a message of the generated types.
    fn rendered(
        index: &Index,
        scope: VrfScope,
        host: IpAddr,
        today: Date,
        view: View,
    ) -> v1::LookupAddressResponse {
        let found = index.lookup(scope, host);
        let link = |prefix: &Prefix| {
            let whole = convert::prefix(index, prefix, today, view);
            let lease = if view == View::Full { whole.lease.clone() } else { None };
            v1::Prefix { lease, ..whole }
        };
        v1::LookupAddressResponse {
            address: host.to_string(),
            chain: found.chain.iter().map(|held| link(held)).collect(),
            lease: found.covering().map(|(prefix, lease)| convert::lease(index, prefix, lease, today)),
            records: found.records.iter().map(|record| convert::address(index, record, view)).collect(),
            ..v1::LookupAddressResponse::default()
        }
    }

    async fn empty() -> Cache {
        Cache::in_memory().await.unwrap()
    }

    #[tokio::test]
    async fn a_record_is_encoded_once_a_view_while_nothing_changes() {
        let (cache, encoded_cache, host) = (empty().await, EncodedCache::new(), HOST.parse().unwrap());
        let leased = prefix(1, "203.0.113.0/24", VrfScope::Global, Some(lease("ACME-LIR", 0)));
        cache.apply(Batch::from(vec![leased])).await.unwrap();
        let of_view =
            |today, view| encoded_cache.answer(&cache.snapshot(), VrfScope::Global, host, today, view);
        let ask = |today| of_view(today, View::Full);
        let first = ask(date(2026, 6, 1));
        let basic = of_view(date(2026, 6, 1), View::Basic);
        let again = ask(date(2026, 6, 1));
        assert_eq!(again, first);
        assert_eq!(again.chain.as_ptr(), first.chain.as_ptr());
        let basic_again = of_view(date(2026, 6, 1), View::Basic);
        assert_eq!(basic_again.chain.as_ptr(), basic.chain.as_ptr());
        assert!(basic.chain.len() < first.chain.len());
        let covering = |answer: &LookupAnswer| {
            v1::LookupAddressResponse::decode(&*answer.encode_to_vec()).unwrap().lease.unwrap()
        };
        assert_eq!(covering(&basic), covering(&first), "the covering lease is in both views");
        let days = |answer: &LookupAnswer| covering(answer).days_left;
        assert_eq!((days(&first), days(&ask(date(2026, 6, 2)))), (Some(0), Some(-1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn an_answer_has_the_bytes_of_the_generated_message_whatever_changed_before(
            steps in prop::collection::vec(step(), 1..40),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (cache, encoded_cache) = (runtime.block_on(empty()), EncodedCache::new());
            let host: IpAddr = HOST.parse().unwrap();
            let mut today = date(2026, 6, 1);
            for step in steps {
                if matches!(step, Step::Midnight) {
                    today = today.tomorrow().unwrap();
                }
                runtime.block_on(cache.apply(batch(step))).unwrap();
                let index = cache.snapshot();
                for (scope, view) in [
                    (VrfScope::Global, View::Full),
                    (VrfScope::Global, View::Basic),
                    (CUSTOMERS, View::Basic),
                    (CUSTOMERS, View::Full),
                ] {
                    let wanted = rendered(&index, scope, host, today, view).encode_to_vec();
                    let answer = encoded_cache.answer(&index, scope, host, today, view);
                    prop_assert_eq!(answer.encode_to_vec(), wanted.clone());
                    let found = index.lookup(scope, host);
                    let past = LookupAnswer::of_the_past(&index, host, &found, today, view);
                    prop_assert_eq!(past.encode_to_vec(), wanted);
                }
            }
        }
    }
}
