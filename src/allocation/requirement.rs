//! Which prefix fits a wish that names none. Pure: the date is passed in.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use serde::Serialize;

use super::pick::{self, Limits};
use super::policy::{Policy, Purpose, Refusal};
use crate::cache::Index;
use crate::model::{Lease, Prefix, Reputation, Table};

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
    Refused(Refusal),
    ExpiresTooSoon,
    NotClean,
    Full,
}

impl Unfit {
    fn words(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.words(),
            Self::ExpiresTooSoon => "with too few days left",
            Self::NotClean => "not recorded as clean",
            Self::Full => "without enough free space",
        }
    }
}

/// What every block is held against, whatever is asked for.
#[derive(Clone, Copy, Debug)]
pub struct House<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// What it is for.
    pub purpose: Purpose,
    /// The date.
    pub today: Date,
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
    house: House<'_>,
) -> Result<Arc<Prefix>, String> {
    let mut unfit: BTreeMap<Unfit, usize> = BTreeMap::new();
    let mut best: Option<(Rank, &Arc<Prefix>)> = None;
    let tables: Vec<Table> = wanted.table.map_or_else(|| index.tables().collect(), |table| vec![table]);
    for prefix in tables.into_iter().flat_map(|table| index.prefixes_of(table)) {
        if !is_candidate(index, prefix, wanted) {
            continue;
        }
        let lease = index.covering_lease(prefix.table, prefix.network).map(|(_, lease)| lease);
        match fitness(index, prefix, lease, wanted, need, limits, house) {
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
    house: House<'_>,
) -> Result<(i64, u128), Unfit> {
    // Out of term first, then what the caller lacks, then what else the house says: the nearest reason is the one to tell.
    let refusals = house.policy.refusals(index, prefix, house.purpose, house.today);
    let mut refusals = refusals.into_iter().map(|refused| refused.refusal).peekable();
    if let Some(out_of_term) =
        refusals.next_if(|first| matches!(first, Refusal::Expired | Refusal::NotYetInForce))
    {
        return Err(Unfit::Refused(out_of_term));
    }
    let days_left = match lease {
        None => i64::MAX,
        Some(lease) => {
            let days_left = lease.term.days_left(house.today);
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
    if let Some(refusal) = refusals.next() {
        return Err(Unfit::Refused(refusal));
    }
    let taken = match need {
        Need::Addresses(_) => pick::taken_addresses(index, prefix, limits),
        Need::Block(_) => pick::taken_blocks(index, prefix, limits),
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
