//! Judges the reputation of a block by what the blocklists said. Pure.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;

use super::settings::ReputationPolicy;
use crate::model::{
    Baseline, Cause, CouldNotCheck, Failure, KnownListing, ListingClass, Reputation, SourceFault,
    ZoneCoverage,
};

/// One address on one blocklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressListing {
    pub zone: String,
    pub address: IpAddr,
    pub known: KnownListing,
    /// Whether the address was on this list when the lease began; `None` if no baseline exists.
    pub inherited: Option<bool>,
}

/// How far a zone was asked about a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneProgress {
    pub zone: String,
    /// Every address was asked about after this time; `None` before the first pass is complete.
    pub complete: Option<Timestamp>,
    /// How many addresses gave no answer when they were last asked about.
    pub failed: usize,
    /// Why the zone answers nothing at all; `None` if it does answer.
    pub zone_failure: Option<Failure>,
}

/// The reputation of a block, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockReputation {
    /// One listing is enough for *watch* or *listed*. *Clean* needs the answer of every zone about every address.
    pub verdict: Result<Reputation, CouldNotCheck>,
    /// For *clean*, the time after which every address was asked about; otherwise the time of the latest listing.
    pub observed: Option<Timestamp>,
    /// Explains the verdict to people.
    pub reason: String,
    /// All listings, the most severe class first.
    pub listed: Vec<AddressListing>,
    pub zones: Vec<ZoneProgress>,
}

/// Judges a block of `addresses` addresses by the coverage of each zone. A zone without coverage was never asked.
pub fn judge(
    addresses: u64,
    coverage: &[(String, Option<ZoneCoverage>)],
    baseline: Option<&Baseline>,
    policy: &ReputationPolicy,
) -> BlockReputation {
    let listed = listings(coverage, baseline);
    let of_class = |class: ListingClass| -> BTreeSet<IpAddr> {
        listed.iter().filter(|row| row.known.listing.class == class).map(|row| row.address).collect()
    };
    let (abuse, on_policy_lists) = (of_class(ListingClass::Abuse), of_class(ListingClass::Policy));
    let causes: Vec<Cause> = coverage
        .iter()
        .filter_map(|(zone, coverage)| Some(Cause::new(zone, gap(coverage.as_ref())?)))
        .collect();
    let verdict = if !abuse.is_empty() {
        Ok(if share(abuse.len(), addresses) > policy.watch_share {
            Reputation::Listed
        } else {
            Reputation::Watch
        })
    } else if policy.policy_is_watch && !on_policy_lists.is_empty() {
        Ok(Reputation::Watch)
    } else if coverage.is_empty() {
        Err(CouldNotCheck::not_configured())
    } else if causes.is_empty() {
        Ok(Reputation::Clean)
    } else {
        Err(CouldNotCheck { causes })
    };
    let reason = match &verdict {
        Ok(Reputation::Clean) => {
            let lists = counted(coverage.len(), "list", "lists");
            format!("none of {addresses} addresses is listed ({lists} asked)")
        }
        Ok(_) => {
            let many = if abuse.is_empty() { on_policy_lists.len() } else { abuse.len() };
            let kind = if abuse.is_empty() { "on policy lists" } else { "listed" };
            format!("{many} of {addresses} addresses {kind}: {}", examples(&listed))
        }
        Err(could_not) => could_not.to_string(),
    };
    let observed = match &verdict {
        Ok(Reputation::Clean) => {
            coverage.iter().filter_map(|(_, coverage)| coverage.as_ref()?.complete).min()
        }
        Ok(_) => listed.iter().map(|row| row.known.checked).max(),
        Err(_) => None,
    };
    let zones = coverage.iter().map(|(zone, coverage)| progress(zone, coverage.as_ref())).collect();
    BlockReputation { verdict, observed, reason, listed, zones }
}

/// Every listing of every zone, the most severe class first.
fn listings(coverage: &[(String, Option<ZoneCoverage>)], baseline: Option<&Baseline>) -> Vec<AddressListing> {
    let mut listed: Vec<AddressListing> = coverage
        .iter()
        .filter_map(|(zone, coverage)| Some((zone, coverage.as_ref()?)))
        .flat_map(|(zone, coverage)| {
            coverage.listed.iter().map(move |(address, known)| (zone, *address, known))
        })
        .map(|(zone, address, known)| AddressListing {
            zone: zone.clone(),
            address,
            known: known.clone(),
            inherited: baseline
                .filter(|baseline| baseline.listed.contains_key(zone))
                .map(|baseline| baseline.holds(zone, address)),
        })
        .collect();
    listed.sort_by_key(|row| (Reverse(row.known.listing.class), row.address, row.zone.clone()));
    listed
}

fn progress(zone: &str, coverage: Option<&ZoneCoverage>) -> ZoneProgress {
    ZoneProgress {
        zone: zone.to_owned(),
        complete: coverage.and_then(|coverage| coverage.complete),
        failed: coverage.map_or(0, |coverage| coverage.failed.len()),
        zone_failure: coverage.and_then(zone_failure),
    }
}

/// Why a zone's answers are not enough to call the block clean; `None` if they are.
fn gap(coverage: Option<&ZoneCoverage>) -> Option<Failure> {
    match coverage {
        None => Some(SourceFault::NotAskedYet.failure("it was not asked yet")),
        Some(coverage @ ZoneCoverage { zone_error: Some(_), .. }) => zone_failure(coverage),
        Some(ZoneCoverage { complete: None, .. }) => {
            Some(SourceFault::NotAskedYet.failure("it was not asked about every address yet"))
        }
        Some(coverage) => {
            let (first, reason) = coverage.failed.first_key_value()?;
            let addresses = counted(coverage.failed.len(), "address", "addresses");
            let message = format!("{addresses} gave no answer; {first}: {reason}");
            Some(SourceFault::QueriesUnanswered.failure(message))
        }
    }
}

/// Why a zone as a whole gives no usable answers.
fn zone_failure(coverage: &ZoneCoverage) -> Option<Failure> {
    let (reason, at) = coverage.zone_error.as_ref()?;
    Some(SourceFault::BlocklistUnusable.failure(reason).at(*at))
}

/// Sizes are far below 2^52.
#[allow(clippy::cast_precision_loss)]
fn share(part: usize, addresses: u64) -> f64 {
    part as f64 / addresses.max(1) as f64
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn examples(listed: &[AddressListing]) -> String {
    const SHOWN: usize = 3;
    let mut shown: Vec<String> = listed
        .iter()
        .take(SHOWN)
        .map(|row| {
            let reason = match row.known.listing.reason.as_str() {
                "" => String::new(),
                reason => format!(" ({reason})"),
            };
            format!("{} on {}{reason}", row.address, row.zone)
        })
        .collect();
    if listed.len() > SHOWN {
        shown.push(format!("and {} more", listed.len() - SHOWN));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Listing;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn covered(listed: &[(u8, ListingClass)]) -> ZoneCoverage {
        let known = |class| KnownListing {
            listing: Listing { class, codes: vec![], reason: "spam".into() },
            since: at(1),
            checked: at(1),
        };
        ZoneCoverage {
            complete: Some(at(1)),
            listed: listed.iter().map(|(last, class)| ([203, 0, 113, *last].into(), known(*class))).collect(),
            ..ZoneCoverage::default()
        }
    }

    fn verdict(zones: &[Option<ZoneCoverage>]) -> Option<Reputation> {
        let named: Vec<(String, Option<ZoneCoverage>)> = zones
            .iter()
            .enumerate()
            .map(|(nth, coverage)| (format!("bl{nth}.test"), coverage.clone()))
            .collect();
        judge(256, &named, None, &ReputationPolicy::default()).verdict.ok()
    }

    #[test]
    fn clean_needs_the_answer_of_every_list_about_every_address() {
        let clean = covered(&[]);
        assert_eq!(verdict(&[Some(clean.clone()), Some(clean.clone())]), Some(Reputation::Clean));
        assert_eq!(verdict(&[Some(clean.clone()), None]), None, "never asked");
        assert_eq!(verdict(&[]), None, "no list");
        let unfinished = ZoneCoverage { complete: None, ..clean.clone() };
        assert_eq!(verdict(&[Some(clean.clone()), Some(unfinished)]), None);
        let silent = ZoneCoverage {
            failed: [([203, 0, 113, 9].into(), "SERVFAIL".to_owned())].into(),
            ..clean.clone()
        };
        assert_eq!(verdict(&[Some(silent)]), None);
        let broken = ZoneCoverage { zone_error: Some(("SERVFAIL".into(), at(2))), ..clean };
        assert_eq!(verdict(&[Some(broken)]), None);
    }

    #[test]
    fn one_list_is_enough_for_a_listing() {
        let many = covered(&[(1, ListingClass::Abuse), (2, ListingClass::Abuse), (3, ListingClass::Abuse)]);
        assert_eq!(verdict(&[Some(many.clone()), None]), Some(Reputation::Listed));
        // The earlier listings of a zone in trouble still count.
        assert_eq!(
            verdict(&[Some(ZoneCoverage { zone_error: Some(("x".into(), at(2))), ..many })]),
            Some(Reputation::Listed)
        );
    }

    #[test]
    fn policy_lists_and_a_small_share_are_watched() {
        assert_eq!(
            verdict(&[Some(covered(&[(1, ListingClass::Abuse), (2, ListingClass::Abuse)]))]),
            Some(Reputation::Watch)
        );
        assert_eq!(verdict(&[Some(covered(&[(1, ListingClass::Policy)]))]), Some(Reputation::Watch));
        assert_eq!(verdict(&[Some(covered(&[(1, ListingClass::Informational)]))]), Some(Reputation::Clean));
    }

    #[test]
    fn inherited_and_new_listings_are_told_apart() {
        let mut baseline = Baseline { taken: Some(at(1)), ..Baseline::default() };
        baseline.listed.insert("bl.test".into(), vec![[203, 0, 113, 1].into()]);
        let zones = [
            ("bl.test".to_owned(), Some(covered(&[(1, ListingClass::Abuse), (2, ListingClass::Abuse)]))),
            ("new.test".to_owned(), Some(covered(&[(1, ListingClass::Abuse)]))),
        ];
        let judged = judge(256, &zones, Some(&baseline), &ReputationPolicy::default());
        let inherited: Vec<Option<bool>> = judged.listed.iter().map(|row| row.inherited).collect();
        assert_eq!(inherited, [Some(true), None, Some(false)], "{:?}", judged.listed);
        assert_eq!(
            judged.reason,
            "2 of 256 addresses listed: 203.0.113.1 on bl.test (spam), 203.0.113.1 on new.test (spam), \
            203.0.113.2 on bl.test (spam)"
        );
    }
}
