//! Which prefix fits a requirement best, for commands that name no parent. Pure: the date is passed in.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::civil::Date;

use super::free_space::{self, Limits};
use super::policy::{Policy, Purpose, Refusal};
use crate::cache::Index;
use crate::model::{Lease, Network, Prefix, PrefixId, Reputation, VrfScope};

/// What the parent must be. Every condition that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// The owner of the covering lease, exactly.
    pub owner: Option<String>,
    /// Slug of a tag that the prefix carries.
    pub tag: Option<String>,
    /// Slug of the prefix's role.
    pub role: Option<String>,
    pub scope: Option<VrfScope>,
    /// The days that the lease must have left, today not counted.
    pub min_days_left: Option<i32>,
    /// Whether the recorded reputation must be clean.
    pub clean: bool,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
}

/// The free space that the parent must have.
#[derive(Clone, Copy, Debug)]
pub enum SpaceNeeded {
    /// A number of addresses.
    Addresses(u32),
    /// A child prefix of this length.
    Block(u8),
}

/// Why a prefix does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unfit {
    Refused(Refusal),
    ExpiresTooSoon,
    NotClean,
    /// Its owner says that it is full.
    MarkedUtilized,
    /// Other writers are taking its addresses.
    Contended,
    Full,
}

impl Unfit {
    /// The reason as it follows a number of prefixes, as in "3 expired".
    fn after_count(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.after_count(),
            Self::ExpiresTooSoon => "with too few days left",
            Self::NotClean => "not recorded as clean",
            Self::MarkedUtilized => "marked as fully used",
            Self::Contended => "contended by other writers",
            Self::Full => "without enough free space",
        }
    }
}

/// The policy and what it is applied to: every parent is checked against it, named or chosen.
#[derive(Clone, Copy, Debug)]
pub struct PolicyContext<'a> {
    pub policy: &'a Policy,
    pub purpose: Purpose,
    pub today: Date,
}

/// The order of candidates: days left, negated so that the most come first; then free addresses; then the id.
type Rank = (i64, u128, u64);

/// The prefix that fits best: the one with the most days left, and of several the one with the least free space that is enough.
/// `exhausted` are prefixes of which the caller has lost races. The error says, for people, how many prefixes were considered and why they do not fit.
pub fn choose(
    index: &Index,
    wanted: &Requirement,
    needed: SpaceNeeded,
    limits: Limits<'_>,
    context: PolicyContext<'_>,
    exhausted: &[PrefixId],
) -> Result<Arc<Prefix>, String> {
    let mut unfit: BTreeMap<Unfit, usize> = BTreeMap::new();
    let mut best: Option<(Rank, &Arc<Prefix>)> = None;
    let scopes: Vec<VrfScope> = wanted.scope.map_or_else(|| index.scopes().collect(), |scope| vec![scope]);
    let family = if wanted.ipv6 { IpNet::V6(Ipv6Net::default()) } else { IpNet::V4(Ipv4Net::default()) };
    let family = Network::containing(family);
    for prefix in scopes.into_iter().flat_map(|scope| index.prefixes_within(scope, family)) {
        if !is_candidate(index, prefix, wanted) {
            continue;
        }
        if exhausted.contains(&prefix.id) {
            *unfit.entry(Unfit::Contended).or_default() += 1;
            continue;
        }
        if prefix.mark_utilized {
            *unfit.entry(Unfit::MarkedUtilized).or_default() += 1;
            continue;
        }
        let lease = index.covering_lease(prefix.scope, prefix.network).map(|(_, lease)| lease);
        match fitness(index, prefix, lease, wanted, needed, limits, context) {
            Err(why) => *unfit.entry(why).or_default() += 1,
            Ok((days_left, free)) => {
                // The id makes the choice repeatable.
                let rank = (-days_left, free, prefix.id.0);
                if best.as_ref().is_none_or(|(best_rank, _)| rank < *best_rank) {
                    best = Some((rank, prefix));
                }
            }
        }
    }
    best.map(|(_, prefix)| prefix.clone()).ok_or_else(|| explain(&unfit))
}

/// Whether a prefix is active and has the tag, role and owner that are required. The error counts only such prefixes.
fn is_candidate(index: &Index, prefix: &Prefix, wanted: &Requirement) -> bool {
    prefix.status == "active"
        && wanted.tag.as_ref().is_none_or(|slug| prefix.tags.iter().any(|tag| *tag.slug == **slug))
        && wanted
            .role
            .as_ref()
            .is_none_or(|slug| prefix.role.as_ref().is_some_and(|role| *role.slug == **slug))
        && wanted.owner.as_ref().is_none_or(|owner| {
            let lease = index.covering_lease(prefix.scope, prefix.network);
            lease.is_some_and(|(_, lease)| lease.owner.as_ref() == Some(owner))
        })
}

fn fitness(
    index: &Index,
    prefix: &Prefix,
    lease: Option<&Lease>,
    wanted: &Requirement,
    needed: SpaceNeeded,
    limits: Limits<'_>,
    context: PolicyContext<'_>,
) -> Result<(i64, u128), Unfit> {
    // Only the first reason is counted: a lease out of term, then what the requirement lacks, then the other refusals.
    let refusals = context.policy.refusals(index, prefix, context.purpose, context.today);
    let mut refusals = refusals.into_iter().map(|refused| refused.refusal).peekable();
    if let Some(out_of_term) =
        refusals.next_if(|first| matches!(first, Refusal::Expired | Refusal::NotYetInForce))
    {
        return Err(Unfit::Refused(out_of_term));
    }
    let days_left = match lease {
        None => i64::MAX,
        Some(lease) => {
            let days_left = lease.term.days_left(context.today);
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
    let taken = match needed {
        SpaceNeeded::Addresses(_) => free_space::taken_addresses(index, prefix, limits),
        SpaceNeeded::Block(_) => free_space::taken_blocks(index, prefix, limits),
    };
    let free = free_space::count_free(prefix, &taken);
    let enough = match needed {
        SpaceNeeded::Addresses(count) => free >= u128::from(count),
        SpaceNeeded::Block(length) => free_space::lowest_block(prefix, &taken, length).is_some(),
    };
    if enough { Ok((days_left, free)) } else { Err(Unfit::Full) }
}

fn explain(unfit: &BTreeMap<Unfit, usize>) -> String {
    if unfit.is_empty() {
        return "no active prefix has that owner, tag, role, VRF and address family".to_owned();
    }
    let parts: Vec<String> =
        unfit.iter().map(|(why, count)| format!("{count} {}", why.after_count())).collect();
    parts.join(", ")
}
