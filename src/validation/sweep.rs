//! Asking a zone about a block, round by round. Pure.
//!
//! A round covers every address once; a run spends a budget on it and the next run goes on from there. First in every run come
//! the addresses that are recorded, whatever the budget; then, for half of it at most, those that gave no answer and those that
//! were listed; the rest of it goes on with the round.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::model::{Listing, Network, Seen, Sweep};

/// Blocks of more host bits than this are asked about by their recorded addresses and their first one: nobody can sweep a
/// /48, and no list lists its addresses one by one.
pub const SWEPT_BITS: u8 = 16;

/// Whether every address of a block is asked about.
pub fn is_swept(block: Network) -> bool {
    block.host_bits() <= SWEPT_BITS
}

/// How many addresses a verdict on the block rests on.
pub fn space(block: Network, recorded: usize) -> u64 {
    if is_swept(block) { 1 << block.host_bits() } else { u64::try_from(recorded).unwrap_or(u64::MAX).max(1) }
}

/// What one run asks a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The addresses, in the order in which they are asked about.
    pub ask: Vec<IpAddr>,
    /// How many of them count against the budget.
    pub charged: usize,
    /// Where the next run goes on; `None` if this one ends the round.
    pub next: Option<IpAddr>,
    /// When the round began.
    pub began: Timestamp,
}

/// What to ask now, with a budget for what need not be asked in every run.
pub fn plan(block: Network, sweep: &Sweep, recorded: &[IpAddr], budget: usize, now: Timestamp) -> Plan {
    let mut asked = BTreeSet::new();
    let mut ask = Vec::new();
    let mut add = |address: IpAddr| {
        let new = block.contains_address(address) && asked.insert(address);
        if new {
            ask.push(address);
        }
        new
    };
    let free = recorded.iter().filter(|address| add(**address)).count();
    // What was listed the longest ago first, so that all of it comes round.
    let mut listed: Vec<(&IpAddr, &Seen)> = sweep.listed.iter().collect();
    listed.sort_by_key(|(_, seen)| seen.checked);
    let again = sweep.failed.keys().chain(listed.into_iter().map(|(address, _)| address));
    let mut left = budget - again.filter(|address| add(**address)).take(budget / 2).count();
    let mut next = None;
    if is_swept(block) {
        let from = sweep.next.filter(|next| block.contains_address(*next)).unwrap_or(block.first());
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
    Plan { charged: ask.len() - free, ask, next, began: sweep.began.unwrap_or(now) }
}

/// An answer about one address: listed, not listed, or none and why.
pub type Answer = (IpAddr, Result<Option<Listing>, String>);

/// Takes up what one address gave. No answer changes nothing but that there was none.
fn take(sweep: &mut Sweep, (address, answer): Answer, now: Timestamp) {
    match answer {
        Ok(Some(listing)) => {
            sweep.failed.remove(&address);
            let since = sweep.listed.get(&address).map_or(now, |seen| seen.since);
            sweep.listed.insert(address, Seen { listing, since, checked: now });
        }
        Ok(None) => {
            sweep.failed.remove(&address);
            sweep.listed.remove(&address);
        }
        Err(why) => {
            sweep.failed.insert(address, why);
        }
    }
}

/// Takes up the answers of a run that asked all that it meant to.
pub fn record(sweep: &mut Sweep, plan: &Plan, answers: Vec<Answer>, now: Timestamp) {
    // A zone that answers nothing at all is not asked on: its round is none.
    if let (Some((_, Err(why))), true) = (answers.first(), answers.iter().all(|(_, answer)| answer.is_err()))
    {
        let why = format!("none of {} queries was answered: {why}", answers.len());
        return give_up(sweep, answers, why, now);
    }
    for answer in answers {
        take(sweep, answer, now);
    }
    sweep.trouble = None;
    sweep.next = plan.next;
    if plan.next.is_none() {
        sweep.complete = Some(plan.began);
        sweep.began = None;
    } else {
        sweep.began = Some(plan.began);
    }
}

/// Takes up the answers of a run that was given up: the round goes on where it stood.
pub fn give_up(sweep: &mut Sweep, answers: Vec<Answer>, why: String, now: Timestamp) {
    for answer in answers.into_iter().filter(|(_, answer)| answer.is_ok()) {
        take(sweep, answer, now);
    }
    sweep.trouble = Some((why, now));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Class;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn listing() -> Listing {
        Listing { class: Class::Abuse, codes: vec!["127.0.0.2".parse().unwrap()], reason: String::new() }
    }

    proptest! {
        #[test]
        fn a_round_covers_every_address_and_no_run_leaves_its_budget(
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
            let mut sweep = Sweep::default();
            let mut asked: BTreeMap<IpAddr, u32> = BTreeMap::new();
            let mut runs = 0;
            while sweep.complete.is_none() {
                runs += 1;
                prop_assert!(runs <= 2100, "the round does not end");
                let plan = plan(block, &sweep, &recorded, budget, at(runs));
                let must: BTreeSet<IpAddr> = recorded.iter().copied()
                    .filter(|a| block.contains_address(*a)).collect();
                prop_assert!(plan.charged <= budget, "{} charged", plan.charged);
                prop_assert_eq!(plan.ask.len(), must.len() + plan.charged);
                prop_assert_eq!(plan.ask.iter().collect::<BTreeSet<_>>().len(), plan.ask.len(), "asked twice");
                let first: BTreeSet<IpAddr> = plan.ask.iter().take(must.len()).copied().collect();
                prop_assert_eq!(&first, &must);
                for address in &plan.ask { *asked.entry(*address).or_default() += 1; }
                let answers = plan.ask.iter().map(|a| (*a, Ok(listed.contains(a).then(listing)))).collect();
                record(&mut sweep, &plan, answers, at(runs));
            }
            prop_assert_eq!(asked.len() as u64, space(block, 0));
            prop_assert_eq!(sweep.listed.keys().copied().collect::<BTreeSet<_>>(), listed);
            prop_assert_eq!((sweep.complete, sweep.began), (Some(at(1)), None));
        }
    }

    #[test]
    fn a_failure_keeps_what_was_known_and_is_asked_again_first() {
        let block: Network = "203.0.113.0/30".parse().unwrap();
        let address = |last: u8| IpAddr::from([203, 0, 113, last]);
        let mut sweep = Sweep::default();
        let first = plan(block, &sweep, &[], 10, at(1));
        let answers = vec![
            (address(0), Ok(None)),
            (address(1), Ok(Some(listing()))),
            (address(2), Err("no answer".to_owned())),
            (address(3), Ok(None)),
        ];
        record(&mut sweep, &first, answers, at(1));
        assert_eq!((sweep.failed.len(), sweep.complete), (1, Some(at(1))));
        let second = plan(block, &sweep, &[address(3)], 10, at(2));
        assert_eq!(second.ask, [address(3), address(2), address(1), address(0)]);
        let answers = vec![
            (address(3), Err("no answer".to_owned())),
            (address(1), Err("no answer".to_owned())),
            (address(2), Ok(None)),
            (address(0), Ok(None)),
        ];
        record(&mut sweep, &second, answers, at(2));
        assert_eq!(sweep.failed.keys().copied().collect::<Vec<_>>(), [address(1), address(3)]);
        assert_eq!(sweep.listed[&address(1)].checked, at(1), "a failure does not unlist");
    }

    #[test]
    fn a_zone_that_answers_nothing_ends_no_round_and_is_in_trouble() {
        let block: Network = "203.0.113.0/30".parse().unwrap();
        let mut sweep = Sweep::default();
        let first = plan(block, &sweep, &[], 10, at(1));
        record(&mut sweep, &first, first.ask.iter().map(|a| (*a, Ok(None))).collect(), at(1));
        let second = plan(block, &sweep, &[], 10, at(2));
        let silence = second.ask.iter().map(|a| (*a, Err("SERVFAIL".to_owned()))).collect();
        record(&mut sweep, &second, silence, at(2));
        assert_eq!(sweep.complete, Some(at(1)), "four failures are no round");
        assert!(sweep.trouble.as_ref().is_some_and(|(why, _)| why.contains("none of 4")), "{sweep:?}");
    }

    #[test]
    fn a_run_that_was_given_up_moves_nothing_on() {
        let block: Network = "203.0.113.0/24".parse().unwrap();
        let mut sweep = Sweep::default();
        let first = plan(block, &sweep, &[], 100, at(1));
        record(&mut sweep, &first, first.ask.iter().map(|a| (*a, Ok(None))).collect(), at(1));
        let before = sweep.clone();
        let second = plan(block, &sweep, &[], 100, at(2));
        give_up(&mut sweep, vec![(second.ask[0], Err("no answer".to_owned()))], "16 in a row".into(), at(2));
        assert_eq!(sweep, Sweep { trouble: Some(("16 in a row".into(), at(2))), ..before });
    }

    #[test]
    fn a_space_that_nobody_can_sweep_is_asked_about_where_it_is_used() {
        let block: Network = "2001:db8::/48".parse().unwrap();
        let used = [IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7])];
        let plan = plan(block, &Sweep::default(), &used, 10_000, at(1));
        assert_eq!(plan.ask, [used[0], block.first()]);
        assert_eq!(plan.next, None);
    }
}
