//! Which addresses of a block a zone is asked about next, and what its answers change. Pure.
//!
//! A zone is asked about a block pass by pass: one pass asks about every address once. It may take several runs, one in each
//! timed round of checks. A run has a budget of queries and continues where the last one stopped. A run asks first about the recorded addresses of the block,
//! which are not counted against the budget; then, with at most half of the budget, about the addresses that gave no answer
//! and those that were listed; then about the next addresses of the pass.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::model::{KnownListing, Listing, Network, ZoneCoverage};

/// A block with more host bits than this is only asked about at its recorded addresses and its first one. Nobody can ask about
/// every address of a /48, and no list lists them one by one.
pub const MAX_HOST_BITS: u8 = 16;

/// Whether zones are asked about every address of a block.
pub fn is_fully_covered(block: Network) -> bool {
    block.host_bits() <= MAX_HOST_BITS
}

/// How many addresses a verdict on the block counts, where `recorded` are recorded in NetBox.
pub fn address_count(block: Network, recorded: usize) -> u64 {
    if is_fully_covered(block) {
        1 << block.host_bits()
    } else {
        u64::try_from(recorded).unwrap_or(u64::MAX).max(1)
    }
}

/// The queries of one run to one zone about one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryPlan {
    /// The addresses to ask about, in this order.
    pub addresses: Vec<IpAddr>,
    /// How many of them count against the budget.
    pub charged: usize,
    /// The address with which the next run continues the pass; `None` if this run completes it.
    pub next: Option<IpAddr>,
    /// When the pass began.
    pub began: Timestamp,
}

/// Plans the next run. Recorded addresses are always included; `budget` limits all others.
pub fn plan(
    block: Network,
    coverage: &ZoneCoverage,
    recorded: &[IpAddr],
    budget: usize,
    now: Timestamp,
) -> QueryPlan {
    let mut planned = BTreeSet::new();
    let mut addresses = Vec::new();
    let mut add = |address: IpAddr| {
        let new = block.contains_address(address) && planned.insert(address);
        if new {
            addresses.push(address);
        }
        new
    };
    let free = recorded.iter().filter(|address| add(**address)).count();
    // The listings that were checked the longest time ago come first, so that none is left out for ever.
    let mut listed: Vec<(&IpAddr, &KnownListing)> = coverage.listed.iter().collect();
    listed.sort_by_key(|(_, known)| known.checked);
    let again = coverage.failed.keys().chain(listed.into_iter().map(|(address, _)| address));
    let mut left = budget - again.filter(|address| add(**address)).take(budget / 2).count();
    let mut next = None;
    if is_fully_covered(block) {
        let from = coverage.next.filter(|next| block.contains_address(*next)).unwrap_or(block.first());
        for address in block.addresses_from(from) {
            if left == 0 {
                next = Some(address);
                break;
            }
            left -= usize::from(add(address));
        }
    } else {
        add(block.first());
    }
    QueryPlan { charged: addresses.len() - free, addresses, next, began: coverage.began.unwrap_or(now) }
}

/// An address, and what the zone answered: its listing, `None` if it is not listed, or why there is no answer.
pub type AddressAnswer = (IpAddr, Result<Option<Listing>, String>);

/// Records the answer about one address. Without an answer, an earlier listing stays.
fn record_answer(coverage: &mut ZoneCoverage, (address, answer): AddressAnswer, now: Timestamp) {
    match answer {
        Ok(Some(listing)) => {
            coverage.failed.remove(&address);
            let since = coverage.listed.get(&address).map_or(now, |known| known.since);
            coverage.listed.insert(address, KnownListing { listing, since, checked: now });
        }
        Ok(None) => {
            coverage.failed.remove(&address);
            coverage.listed.remove(&address);
        }
        Err(reason) => {
            coverage.failed.insert(address, reason);
        }
    }
}

/// Records the answers of a run that asked everything it had planned, and moves the pass forward.
pub fn record(coverage: &mut ZoneCoverage, plan: &QueryPlan, answers: Vec<AddressAnswer>, now: Timestamp) {
    // A zone that answered nothing at all has covered nothing, although every planned query was sent.
    if let (Some((_, Err(reason))), true) =
        (answers.first(), answers.iter().all(|(_, answer)| answer.is_err()))
    {
        let reason = format!("none of {} queries was answered: {reason}", answers.len());
        return abandon(coverage, answers, reason, now);
    }
    for answer in answers {
        record_answer(coverage, answer, now);
    }
    coverage.zone_error = None;
    coverage.next = plan.next;
    if plan.next.is_none() {
        coverage.complete = Some(plan.began);
        coverage.began = None;
    } else {
        coverage.began = Some(plan.began);
    }
}

/// Records the answers of a run that was stopped early because the zone is in trouble. The next run repeats it.
pub fn abandon(coverage: &mut ZoneCoverage, answers: Vec<AddressAnswer>, reason: String, now: Timestamp) {
    for answer in answers.into_iter().filter(|(_, answer)| answer.is_ok()) {
        record_answer(coverage, answer, now);
    }
    coverage.zone_error = Some((reason, now));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ListingClass;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn listing() -> Listing {
        Listing {
            class: ListingClass::Abuse,
            codes: vec!["127.0.0.2".parse().unwrap()],
            reason: String::new(),
        }
    }

    proptest! {
        #[test]
        fn a_pass_covers_every_address_and_every_run_keeps_its_budget(
            length in 22u8..=30,
            budget in 1usize..200,
            recorded in prop::collection::btree_set(0u32..1024, 0..20),
            listed in prop::collection::btree_set(0u32..1024, 0..20),
        ) {
            let block: Network = format!("10.0.0.0/{length}").parse().unwrap();
            let base = 0x0a00_0000u32;
            let address = |offset: &u32| IpAddr::from(std::net::Ipv4Addr::from(base + offset));
            let recorded: Vec<IpAddr> = recorded.iter().map(address).collect();
            let listed: BTreeSet<IpAddr> = listed.iter().map(address).filter(|a| block.contains_address(*a)).collect();
            let mut coverage = ZoneCoverage::default();
            let mut asked: BTreeMap<IpAddr, u32> = BTreeMap::new();
            let mut runs = 0;
            while coverage.complete.is_none() {
                runs += 1;
                prop_assert!(runs <= 2100, "the pass does not end");
                let plan = plan(block, &coverage, &recorded, budget, at(runs));
                let must: BTreeSet<IpAddr> = recorded.iter().copied()
                    .filter(|a| block.contains_address(*a)).collect();
                prop_assert!(plan.charged <= budget, "{} charged", plan.charged);
                prop_assert_eq!(plan.addresses.len(), must.len() + plan.charged);
                prop_assert_eq!(plan.addresses.iter().collect::<BTreeSet<_>>().len(), plan.addresses.len(), "asked twice");
                let first: BTreeSet<IpAddr> = plan.addresses.iter().take(must.len()).copied().collect();
                prop_assert_eq!(&first, &must);
                for address in &plan.addresses { *asked.entry(*address).or_default() += 1; }
                let answers = plan.addresses.iter().map(|a| (*a, Ok(listed.contains(a).then(listing)))).collect();
                record(&mut coverage, &plan, answers, at(runs));
            }
            prop_assert_eq!(asked.len() as u64, address_count(block, 0));
            prop_assert_eq!(coverage.listed.keys().copied().collect::<BTreeSet<_>>(), listed);
            prop_assert_eq!((coverage.complete, coverage.began), (Some(at(1)), None));
        }
    }

    #[test]
    fn a_failed_query_keeps_the_listing_and_is_repeated_first() {
        let block: Network = "203.0.113.0/30".parse().unwrap();
        let address = |last: u8| IpAddr::from([203, 0, 113, last]);
        let mut coverage = ZoneCoverage::default();
        let first = plan(block, &coverage, &[], 10, at(1));
        let answers = vec![
            (address(0), Ok(None)),
            (address(1), Ok(Some(listing()))),
            (address(2), Err("no answer".to_owned())),
            (address(3), Ok(None)),
        ];
        record(&mut coverage, &first, answers, at(1));
        assert_eq!((coverage.failed.len(), coverage.complete), (1, Some(at(1))));
        let second = plan(block, &coverage, &[address(3)], 10, at(2));
        assert_eq!(second.addresses, [address(3), address(2), address(1), address(0)]);
        let answers = vec![
            (address(3), Err("no answer".to_owned())),
            (address(1), Err("no answer".to_owned())),
            (address(2), Ok(None)),
            (address(0), Ok(None)),
        ];
        record(&mut coverage, &second, answers, at(2));
        assert_eq!(coverage.failed.keys().copied().collect::<Vec<_>>(), [address(1), address(3)]);
        assert_eq!(coverage.listed[&address(1)].checked, at(1), "a failure does not unlist");
    }

    #[test]
    fn a_zone_that_answers_nothing_completes_no_pass() {
        let block: Network = "203.0.113.0/30".parse().unwrap();
        let mut coverage = ZoneCoverage::default();
        let first = plan(block, &coverage, &[], 10, at(1));
        record(&mut coverage, &first, first.addresses.iter().map(|a| (*a, Ok(None))).collect(), at(1));
        let second = plan(block, &coverage, &[], 10, at(2));
        let silence = second.addresses.iter().map(|a| (*a, Err("SERVFAIL".to_owned()))).collect();
        record(&mut coverage, &second, silence, at(2));
        assert_eq!(coverage.complete, Some(at(1)), "four failures are no pass");
        assert!(
            coverage.zone_error.as_ref().is_some_and(|(why, _)| why.contains("none of 4")),
            "{coverage:?}"
        );
    }

    #[test]
    fn an_abandoned_run_does_not_move_the_pass_forward() {
        let block: Network = "203.0.113.0/24".parse().unwrap();
        let mut coverage = ZoneCoverage::default();
        let first = plan(block, &coverage, &[], 100, at(1));
        record(&mut coverage, &first, first.addresses.iter().map(|a| (*a, Ok(None))).collect(), at(1));
        let before = coverage.clone();
        let second = plan(block, &coverage, &[], 100, at(2));
        abandon(
            &mut coverage,
            vec![(second.addresses[0], Err("no answer".to_owned()))],
            "16 in a row".into(),
            at(2),
        );
        assert_eq!(coverage, ZoneCoverage { zone_error: Some(("16 in a row".into(), at(2))), ..before });
    }

    #[test]
    fn a_large_ipv6_block_is_asked_about_at_its_recorded_addresses() {
        let block: Network = "2001:db8::/48".parse().unwrap();
        let used = [IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7])];
        let plan = plan(block, &ZoneCoverage::default(), &used, 10_000, at(1));
        assert_eq!(plan.addresses, [used[0], block.first()]);
        assert_eq!(plan.next, None);
    }
}
