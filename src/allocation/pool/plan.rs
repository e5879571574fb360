//! Which prefixes have a pool, how much stock each is to have, and which requests are served from it. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::allocation::commands::{AllocateAddresses, ParentSelector};
use crate::cache::{Index, PrefixKey};
use crate::model::{Address, Network, Prefix, PrefixId, VrfScope};

/// NetBox's own values of the status of an address. It may have others, and refuse one that it does not have.
const STATUSES: [&str; 5] = ["active", "reserved", "deprecated", "dhcp", "slaac"];

/// Which prefixes a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolSelector {
    /// One prefix; in the VRF of this name, or in the global table.
    Prefix { network: Network, vrf: Option<String> },
    /// Every prefix that carries a lease of this owner.
    LeaseOwner(String),
    /// Every prefix with the tag of this slug.
    Tag(String),
}

/// The pool that each of some prefixes has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolRule {
    pub selector: PoolSelector,
    /// How many addresses are held ahead.
    pub size: u32,
    /// How many are held ahead once nobody has asked for a while.
    pub idle_size: u32,
}

/// The pools of a server. Without a rule it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Of several rules about a prefix the first counts.
    pub rules: Vec<PoolRule>,
    /// After so long without a request a pool is idle.
    pub idle: Duration,
    /// Within so long the record of an address that was handed out is to say whose it is. Once half of it has passed in vain,
    /// nothing more is handed out.
    pub completion: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { rules: Vec::new(), idle: Duration::from_hours(1), completion: Duration::from_mins(1) }
    }
}

/// The prefixes that have a pool, each with its rule.
pub(super) fn pooled<'a>(index: &Index, rules: &'a [PoolRule]) -> BTreeMap<PrefixId, &'a PoolRule> {
    let mut pooled = BTreeMap::new();
    for rule in rules {
        for prefix in selected(index, &rule.selector) {
            pooled.entry(prefix.id).or_insert(rule);
        }
    }
    pooled
}

fn selected<'a>(index: &'a Index, selector: &PoolSelector) -> Vec<&'a Arc<Prefix>> {
    match selector {
        PoolSelector::Prefix { network, vrf } => {
            let scope = match vrf {
                None => Some(VrfScope::Global),
                Some(name) => index.vrfs().find(|vrf| vrf.name == *name).map(|vrf| VrfScope::Vrf(vrf.id)),
            };
            let found = scope.and_then(|scope| index.resolve(PrefixKey::Network(scope, *network)).ok());
            found.into_iter().collect()
        }
        PoolSelector::LeaseOwner(owner) => {
            let of_owner = |prefix: &&Arc<Prefix>| {
                prefix.lease.as_deref().is_some_and(|lease| lease.owner.as_deref() == Some(owner))
            };
            index.leased().filter(of_owner).collect()
        }
        PoolSelector::Tag(slug) => {
            index.prefixes().filter(|prefix| prefix.tags.iter().any(|tag| *tag.slug == **slug)).collect()
        }
    }
}

/// Whether somebody has asked a pool lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Within the last seconds.
    Now,
    Lately,
    Idle,
}

/// What a pool lacks, or has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Balance {
    Fill(u32),
    Return(usize),
    Even,
}

/// How the stock of a pool is to change. `expected` is how many addresses are reserved, or may be, and not in stock yet; `free` is how many addresses of the prefix are free besides: a pool leaves half of all of
/// them to requests that it does not serve. While it is being asked, it is filled in parts that are worth a request.
pub(super) fn balance(rule: &PoolRule, demand: Demand, stock: usize, expected: usize, free: u128) -> Balance {
    let size = if demand == Demand::Idle { rule.idle_size.min(rule.size) } else { rule.size };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if stock > size {
        return Balance::Return(stock - size);
    }
    let half = usize::try_from((free.saturating_add(stock as u128)) / 2).unwrap_or(usize::MAX);
    let missing = size.min(half).saturating_sub(stock.saturating_add(expected));
    if missing == 0 || demand == Demand::Now && missing < size.div_ceil(4) {
        return Balance::Even;
    }
    Balance::Fill(u32::try_from(missing).unwrap_or(u32::MAX))
}

/// The prefix that a request names, if a pool may serve the request: nothing that it says of its records could be refused by NetBox
/// once they are handed out.
pub(super) fn served(command: &AllocateAddresses) -> Option<PrefixKey> {
    let text = &command.text;
    let plain = text.tenant.is_none()
        && text.role.is_none()
        && text.tags.is_empty()
        && text.custom_fields.is_empty()
        && STATUSES.contains(&text.status.as_str());
    match (&command.parent, plain) {
        (ParentSelector::Prefix(scope, network), true) => Some(PrefixKey::Network(*scope, *network)),
        (ParentSelector::Id(id), true) => Some(PrefixKey::Id(*id)),
        (ParentSelector::Any(_), _) | (_, false) => None,
    }
}

/// Whether the record of an address of the stock is as the pool left it.
pub(super) fn is_untouched(index: &Index, stocked: &Address) -> bool {
    index.address(stocked.id).is_some_and(|record| is_same(record, stocked))
}

/// Whether two versions of a record are one.
pub(super) fn is_same(one: &Address, other: &Address) -> bool {
    one.id == other.id && one.allocation == other.allocation && one.revision == other.revision
}

/// Whether an address of the stock may be handed out to a request: its record is as the pool left it, it is the only one of the
/// address, and the address is not where the request does not want it.
pub(super) fn fits(index: &Index, parent: PrefixId, stocked: &Address, command: &AllocateAddresses) -> bool {
    let (scope, host): (VrfScope, IpAddr) = (stocked.scope, stocked.host());
    let alone = index.addresses_at(scope, host).len() == 1;
    let excluded = command.exclude.iter().any(|network| network.contains_address(host));
    let in_child =
        index.chain(scope, Network::host(host)).last().is_none_or(|innermost| innermost.id != parent);
    alone && is_untouched(index, stocked) && !excluded && (command.include_children || !in_child)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocation::commands::RecordText;
    use crate::allocation::plan::Purpose;
    use crate::model::{Lease, NamedRef, TenantKey};

    fn rule(selector: PoolSelector, size: u32, idle_size: u32) -> PoolRule {
        PoolRule { selector, size, idle_size }
    }

    #[test]
    fn a_pool_is_filled_when_a_quarter_is_missing_or_nobody_asks_and_shrinks_once_it_is_idle() {
        let pool = rule(PoolSelector::Tag("pool".to_owned()), 64, 8);
        let balance = |demand, stock, free| balance(&pool, demand, stock, 0, free);
        assert_eq!(balance(Demand::Now, 0, 1000), Balance::Fill(64));
        assert_eq!(balance(Demand::Now, 48, 1000), Balance::Fill(16));
        assert_eq!(balance(Demand::Now, 49, 1000), Balance::Even);
        assert_eq!(balance(Demand::Lately, 63, 1000), Balance::Fill(1));
        assert_eq!(balance(Demand::Lately, 64, 1000), Balance::Even);
        assert_eq!(balance(Demand::Idle, 64, 1000), Balance::Return(56));
        assert_eq!(balance(Demand::Idle, 3, 1000), Balance::Fill(5));
        // Half of what is free is left to others, and nothing is returned because others have taken their half.
        assert_eq!(balance(Demand::Lately, 0, 11), Balance::Fill(5));
        assert_eq!(balance(Demand::Lately, 5, 6), Balance::Even);
        assert_eq!(balance(Demand::Lately, 5, 0), Balance::Even);
        assert_eq!(balance(Demand::Lately, 0, 0), Balance::Even);
        // A fill of which NetBox does not say what became of it is not made again.
        assert_eq!(super::balance(&pool, Demand::Lately, 0, 60, 1000), Balance::Fill(4));
        assert_eq!(super::balance(&pool, Demand::Lately, 0, 64, 1000), Balance::Even);
    }

    #[test]
    fn what_netbox_could_refuse_later_is_not_handed_out_of_a_pool() {
        let plain = RecordText { status: "active".to_owned(), ..RecordText::default() };
        let is_served = |text: RecordText| {
            served(&AllocateAddresses {
                parent: ParentSelector::Id(PrefixId(1)),
                count: 1,
                text,
                exclude: Vec::new(),
                include_children: false,
                purpose: Purpose::General,
                include_quarantined: false,
                request: "request-1".parse().unwrap(),
            })
            .is_some()
        };
        assert!(is_served(plain.clone()));
        assert!(is_served(RecordText { dns_name: "web.example".parse().ok(), ..plain.clone() }));
        let custom_fields = [("cost_center".to_owned(), "CC-0815".into())].into_iter().collect();
        for refusable in [
            RecordText { status: "planned".to_owned(), ..plain.clone() },
            RecordText { tenant: Some(TenantKey::Id(1)), ..plain.clone() },
            RecordText { role: Some("anycast".to_owned()), ..plain.clone() },
            RecordText { tags: vec!["web".to_owned()], ..plain.clone() },
            RecordText { custom_fields, ..plain },
        ] {
            assert!(!is_served(refusable.clone()), "{refusable:?}");
        }
    }

    #[test]
    fn the_first_rule_about_a_prefix_counts() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        let mut index = Index::default();
        let tag = NamedRef { id: 1, name: "Pool".into(), slug: "pool".into() };
        let lease = Lease { owner: Some("ACME-LIR".to_owned()), ..Lease::default() };
        let bare = |id, text| Prefix::bare(PrefixId(id), network(text), VrfScope::Global);
        let prefixes = vec![
            Prefix { tags: vec![tag], ..bare(1, "10.0.0.0/24") },
            Prefix { lease: Some(Box::new(lease)), ..bare(2, "10.0.1.0/24") },
            bare(3, "10.0.2.0/24"),
        ];
        index.apply(&prefixes.into());
        let rules = [
            rule(PoolSelector::Prefix { network: network("10.0.0.0/24"), vrf: None }, 1, 1),
            rule(
                PoolSelector::Prefix { network: network("10.0.2.0/24"), vrf: Some("other".to_owned()) },
                9,
                9,
            ),
            rule(PoolSelector::Tag("pool".to_owned()), 2, 2),
            rule(PoolSelector::LeaseOwner("ACME-LIR".to_owned()), 3, 3),
        ];
        let sizes: Vec<(u64, u32)> =
            pooled(&index, &rules).into_iter().map(|(id, rule)| (id.0, rule.size)).collect();
        assert_eq!(sizes, [(1, 1), (2, 3)]);
    }
}
