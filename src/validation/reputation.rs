//! What sweeps mean for a block. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;

use super::settings::ReputationPolicy;
use crate::model::{Baseline, Cause, Class, CouldNotCheck, Reputation, Seen, Sweep};

/// One listing of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which list.
    pub zone: String,
    /// Which address.
    pub address: IpAddr,
    /// What the list says, and since when that is known.
    pub seen: Seen,
    /// Whether it stood when the lease began; `None` where no baseline says.
    pub inherited: Option<bool>,
}

/// How far a zone was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Which list.
    pub zone: String,
    /// Since when every address was asked about; `None` before the first round has ended.
    pub complete: Option<Timestamp>,
    /// How many addresses gave no answer at the last try.
    pub failed: usize,
    /// Why the zone says nothing at all, if so.
    pub trouble: Option<String>,
}

/// A block as the lists see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockReputation {
    /// The article's word, or why none can be said. A listing that was found is enough for *watch* and *listed*; *clean* needs
    /// the word of every list about every address.
    pub verdict: Result<Reputation, CouldNotCheck>,
    /// As of when: for *clean*, since when every address was asked about; otherwise when a listing was last seen.
    pub observed: Option<Timestamp>,
    /// Why, in words.
    pub reason: String,
    /// Every listing, the gravest first.
    pub listed: Vec<Listed>,
    /// Every zone.
    pub zones: Vec<Coverage>,
}

/// Judges a block of so many addresses by its sweeps, one a zone; a zone without one was never asked.
pub fn judge(
    space: u64,
    sweeps: &[(String, Option<Sweep>)],
    baseline: Option<&Baseline>,
    policy: &ReputationPolicy,
) -> BlockReputation {
    let mut listed: Vec<Listed> = sweeps
        .iter()
        .filter_map(|(zone, sweep)| Some((zone, sweep.as_ref()?)))
        .flat_map(|(zone, sweep)| sweep.listed.iter().map(move |(address, seen)| (zone, *address, seen)))
        .map(|(zone, address, seen)| Listed {
            zone: zone.clone(),
            address,
            seen: seen.clone(),
            inherited: baseline
                .filter(|baseline| baseline.listed.contains_key(zone))
                .map(|baseline| baseline.holds(zone, address)),
        })
        .collect();
    listed.sort_by_key(|row| (std::cmp::Reverse(row.seen.listing.class), row.address, row.zone.clone()));
    let addresses = |class: Class| -> BTreeSet<IpAddr> {
        listed.iter().filter(|row| row.seen.listing.class == class).map(|row| row.address).collect()
    };
    let (abuse, by_policy) = (addresses(Class::Abuse), addresses(Class::Policy));
    let causes: Vec<Cause> = sweeps
        .iter()
        .filter_map(|(zone, sweep)| Some(Cause { source: zone.clone(), why: unsaid(sweep.as_ref())? }))
        .collect();
    let verdict = if !abuse.is_empty() {
        Ok(if share(abuse.len(), space) > policy.watch_share {
            Reputation::Listed
        } else {
            Reputation::Watch
        })
    } else if policy.policy_is_watch && !by_policy.is_empty() {
        Ok(Reputation::Watch)
    } else if sweeps.is_empty() {
        Err(CouldNotCheck::not_configured())
    } else if causes.is_empty() {
        Ok(Reputation::Clean)
    } else {
        Err(CouldNotCheck { causes })
    };
    let reason = match &verdict {
        Ok(Reputation::Clean) => {
            format!("none of {space} addresses is listed ({} asked)", plural(sweeps.len(), "list", "lists"))
        }
        Ok(_) => {
            let many = if abuse.is_empty() { by_policy.len() } else { abuse.len() };
            let kind = if abuse.is_empty() { "on policy lists" } else { "listed" };
            format!("{many} of {space} addresses {kind}: {}", examples(&listed))
        }
        Err(could_not) => could_not.to_string(),
    };
    let zones = sweeps
        .iter()
        .map(|(zone, sweep)| Coverage {
            zone: zone.clone(),
            complete: sweep.as_ref().and_then(|sweep| sweep.complete),
            failed: sweep.as_ref().map_or(0, |sweep| sweep.failed.len()),
            trouble: sweep.as_ref().and_then(|sweep| sweep.trouble.as_ref()).map(|(why, _)| why.clone()),
        })
        .collect();
    let observed = match &verdict {
        Ok(Reputation::Clean) => sweeps.iter().filter_map(|(_, sweep)| sweep.as_ref()?.complete).min(),
        Ok(_) => listed.iter().map(|row| row.seen.checked).max(),
        Err(_) => None,
    };
    BlockReputation { verdict, observed, reason, listed, zones }
}

/// Why a zone does not say that nothing is listed.
fn unsaid(sweep: Option<&Sweep>) -> Option<String> {
    match sweep {
        None => Some("it was not asked yet".to_owned()),
        Some(Sweep { trouble: Some((why, _)), .. }) => Some(why.clone()),
        Some(Sweep { complete: None, .. }) => Some("its first round has not ended yet".to_owned()),
        Some(sweep) => {
            let (first, why) = sweep.failed.first_key_value()?;
            Some(format!(
                "{} gave no answer; {first}: {why}",
                plural(sweep.failed.len(), "address", "addresses")
            ))
        }
    }
}

/// Sizes are far below 2^52.
#[allow(clippy::cast_precision_loss)]
fn share(part: usize, space: u64) -> f64 {
    part as f64 / space.max(1) as f64
}

fn plural(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn examples(listed: &[Listed]) -> String {
    const SHOWN: usize = 3;
    let mut shown: Vec<String> = listed
        .iter()
        .take(SHOWN)
        .map(|row| {
            let reason = match row.seen.listing.reason.as_str() {
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

    fn swept(listed: &[(u8, Class)]) -> Sweep {
        let seen = |class| Seen {
            listing: Listing { class, codes: vec![], reason: "spam".into() },
            since: at(1),
            checked: at(1),
        };
        Sweep {
            complete: Some(at(1)),
            listed: listed.iter().map(|(last, class)| ([203, 0, 113, *last].into(), seen(*class))).collect(),
            ..Sweep::default()
        }
    }

    fn word(sweeps: &[Option<Sweep>]) -> Option<Reputation> {
        let named: Vec<(String, Option<Sweep>)> =
            sweeps.iter().enumerate().map(|(nth, sweep)| (format!("bl{nth}.test"), sweep.clone())).collect();
        judge(256, &named, None, &ReputationPolicy::default()).verdict.ok()
    }

    #[test]
    fn only_the_word_of_every_list_about_every_address_is_clean() {
        let clean = swept(&[]);
        assert_eq!(word(&[Some(clean.clone()), Some(clean.clone())]), Some(Reputation::Clean));
        assert_eq!(word(&[Some(clean.clone()), None]), None, "never asked");
        assert_eq!(word(&[]), None, "no list");
        let unfinished = Sweep { complete: None, ..clean.clone() };
        assert_eq!(word(&[Some(clean.clone()), Some(unfinished)]), None);
        let silent =
            Sweep { failed: [([203, 0, 113, 9].into(), "SERVFAIL".to_owned())].into(), ..clean.clone() };
        assert_eq!(word(&[Some(silent)]), None);
        let broken = Sweep { trouble: Some(("SERVFAIL".into(), at(2))), ..clean };
        assert_eq!(word(&[Some(broken)]), None);
    }

    #[test]
    fn a_listing_needs_nobody_else_s_word() {
        let many = swept(&[(1, Class::Abuse), (2, Class::Abuse), (3, Class::Abuse)]);
        assert_eq!(word(&[Some(many.clone()), None]), Some(Reputation::Listed));
        // A zone that is in trouble now still said what it said.
        assert_eq!(
            word(&[Some(Sweep { trouble: Some(("x".into(), at(2))), ..many })]),
            Some(Reputation::Listed)
        );
    }

    #[test]
    fn policy_lists_and_a_small_share_are_watched() {
        assert_eq!(word(&[Some(swept(&[(1, Class::Abuse), (2, Class::Abuse)]))]), Some(Reputation::Watch));
        assert_eq!(word(&[Some(swept(&[(1, Class::Policy)]))]), Some(Reputation::Watch));
        assert_eq!(word(&[Some(swept(&[(1, Class::Informational)]))]), Some(Reputation::Clean));
    }

    #[test]
    fn what_was_inherited_is_told_from_what_came_since() {
        let mut baseline = Baseline { taken: Some(at(1)), ..Baseline::default() };
        baseline.listed.insert("bl.test".into(), vec![[203, 0, 113, 1].into()]);
        let sweeps = [
            ("bl.test".to_owned(), Some(swept(&[(1, Class::Abuse), (2, Class::Abuse)]))),
            ("new.test".to_owned(), Some(swept(&[(1, Class::Abuse)]))),
        ];
        let judged = judge(256, &sweeps, Some(&baseline), &ReputationPolicy::default());
        let inherited: Vec<Option<bool>> = judged.listed.iter().map(|row| row.inherited).collect();
        assert_eq!(inherited, [Some(true), None, Some(false)], "{:?}", judged.listed);
        assert_eq!(
            judged.reason,
            "2 of 256 addresses listed: 203.0.113.1 on bl.test (spam), 203.0.113.1 on new.test (spam), \
            203.0.113.2 on bl.test (spam)"
        );
    }
}
