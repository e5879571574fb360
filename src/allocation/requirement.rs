//! Which prefix fits a wish that names none. Pure: the date is passed in.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use serde::Serialize;

use super::pick::{self, Limits};
use crate::cache::Index;
use crate::model::{Lease, Phase, Prefix, Reputation, Table};

/// What a block must offer. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// Lease owner, exactly.
    pub owner: Option<String>,
    /// Slug of a tag on the prefix.
    pub tag: Option<String>,
    /// Slug of the prefix role.
    pub role: Option<String>,
    /// Only in this table.
    pub table: Option<Table>,
    /// Days that the lease must have left, today not counted.
    pub min_days_left: Option<i32>,
    /// Only where the recorded reputation is clean.
    pub clean: bool,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
}

/// What must be free in it.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// So many addresses.
    Addresses(u32),
    /// A block of this length.
    Block(u8),
}

/// Why a prefix does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unfit {
    Expired,
    ExpiresTooSoon,
    NotYetInForce,
    NotClean,
    Full,
}

impl Unfit {
    fn words(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::ExpiresTooSoon => "with too few days left",
            Self::NotYetInForce => "not yet in force",
            Self::NotClean => "not recorded as clean",
            Self::Full => "without enough free space",
        }
    }
}

/// Days left, negated so that the most comes first; free addresses; id.
type Rank = (i64, u128, u64);

/// Finds the prefix that fits best: the most days left, then the least free space that is enough. The error says how many
/// were looked at and what each lacked.
pub fn choose(
    index: &Index,
    wanted: &Requirement,
    need: Need,
    limits: Limits<'_>,
    today: Date,
) -> Result<Arc<Prefix>, String> {
    let mut unfit: BTreeMap<Unfit, usize> = BTreeMap::new();
    let mut best: Option<(Rank, &Arc<Prefix>)> = None;
    let tables: Vec<Table> = wanted.table.map_or_else(|| index.tables().collect(), |table| vec![table]);
    for prefix in tables.into_iter().flat_map(|table| index.prefixes_of(table)) {
        if !is_candidate(index, prefix, wanted) {
            continue;
        }
        let lease = index.covering_lease(prefix.table, prefix.network).map(|(_, lease)| lease);
        match fitness(index, prefix, lease, wanted, need, limits, today) {
            Err(why) => *unfit.entry(why).or_default() += 1,
            Ok((days_left, free)) => {
                // Most days left first, then the tightest fit, then the lowest id so that the choice is repeatable.
                let rank = (-days_left, free, prefix.id.0);
                if best.as_ref().is_none_or(|(held, _)| rank < *held) {
                    best = Some((rank, prefix));
                }
            }
        }
    }
    best.map(|(_, prefix)| prefix.clone()).ok_or_else(|| explain(&unfit))
}

/// Whether a prefix is one of those asked for at all; the rest are not worth a word in the answer.
fn is_candidate(index: &Index, prefix: &Prefix, wanted: &Requirement) -> bool {
    prefix.status == "active"
        && prefix.network.is_ipv4() != wanted.ipv6
        && wanted.tag.as_ref().is_none_or(|slug| prefix.tags.iter().any(|tag| *tag.slug == **slug))
        && wanted
            .role
            .as_ref()
            .is_none_or(|slug| prefix.role.as_ref().is_some_and(|role| *role.slug == **slug))
        && wanted.owner.as_ref().is_none_or(|owner| {
            let lease = index.covering_lease(prefix.table, prefix.network);
            lease.is_some_and(|(_, lease)| lease.owner.as_ref() == Some(owner))
        })
}

fn fitness(
    index: &Index,
    prefix: &Prefix,
    lease: Option<&Lease>,
    wanted: &Requirement,
    need: Need,
    limits: Limits<'_>,
    today: Date,
) -> Result<(i64, u128), Unfit> {
    let days_left = match lease {
        None => i64::MAX,
        Some(lease) => {
            match lease.term.phase(today) {
                Phase::Expired => return Err(Unfit::Expired),
                Phase::Upcoming => return Err(Unfit::NotYetInForce),
                Phase::InForce | Phase::Unrecorded => {}
            }
            let days_left = lease.term.days_left(today);
            if let Some(least) = wanted.min_days_left
                && days_left.is_none_or(|left| left < least)
            {
                return Err(Unfit::ExpiresTooSoon);
            }
            days_left.map_or(0, i64::from)
        }
    };
    if wanted.clean && lease.and_then(|lease| lease.reputation) != Some(Reputation::Clean) {
        return Err(Unfit::NotClean);
    }
    let taken = match need {
        Need::Addresses(_) => pick::taken_addresses(index, prefix, limits),
        Need::Block(_) => pick::taken_blocks(index, prefix, limits.exclude),
    };
    let free = pick::count_free(prefix, &taken);
    let enough = match need {
        Need::Addresses(count) => free >= u128::from(count),
        Need::Block(length) => pick::lowest_block(prefix, &taken, length).is_some(),
    };
    if enough { Ok((days_left, free)) } else { Err(Unfit::Full) }
}

fn explain(unfit: &BTreeMap<Unfit, usize>) -> String {
    if unfit.is_empty() {
        return "no active prefix has that owner, tag, role, table and family".to_owned();
    }
    let parts: Vec<String> = unfit.iter().map(|(why, count)| format!("{count} {}", why.words())).collect();
    parts.join(", ")
}
