//! A persistent Patricia trie: a map from networks to values, whose versions share the nodes that they have in common.
//!
//! Each node has a network as its key and at most two children, whose networks are inside it. A lookup visits the recorded
//! networks that contain the key, and the branching points between them. A change copies the nodes on that path
//! ([`Arc::make_mut`]) and shares all others; if no other version exists, it copies nothing.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{Network, address_from_number, address_number};

/// The leading `length` bits of `bits`. The bits are left-aligned: an IPv4 address is in the upper 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    bits: u128,
    length: u8,
}

impl Key {
    fn new(network: Network) -> Self {
        let unused_bits = 128 - u32::from(network.max_length());
        Self { bits: address_number(network.first()) << unused_bits, length: network.length() }
    }

    fn mask(length: u8) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
    }

    fn covers(self, other: Self) -> bool {
        self.length <= other.length && (self.bits ^ other.bits) & Self::mask(self.length) == 0
    }

    /// Whether this key belongs to the right child of a node of length `at`: the next bit decides.
    fn goes_right(self, at: u8) -> bool {
        at < 128 && (self.bits >> (127 - at)) & 1 == 1
    }

    /// The greatest address that the key covers, in the same form as its bits.
    fn last(self) -> u128 {
        self.bits | !Self::mask(self.length)
    }

    /// The longest key that covers both keys.
    fn common(self, other: Self) -> Self {
        let same = u8::try_from((self.bits ^ other.bits).leading_zeros()).unwrap_or(128);
        let length = same.min(self.length).min(other.length);
        Self { bits: self.bits & Self::mask(length), length }
    }
}

type Link<V> = Option<Arc<Node<V>>>;

#[derive(Clone, Debug)]
struct Node<V> {
    key: Key,
    /// `None` if the node is only a branching point. Such a node always has two children.
    value: Option<V>,
    /// How many values the subtree has, with this one.
    count: u64,
    left: Link<V>,
    right: Link<V>,
}

impl<V> Node<V> {
    fn leaf(key: Key, value: V) -> Arc<Self> {
        Arc::new(Self { key, value: Some(value), count: 1, left: None, right: None })
    }

    /// Whether every host of a family with addresses of `bits` bits has a value, in a map of hosts.
    fn is_full(&self, bits: u8) -> bool {
        1u64.checked_shl(u32::from(bits - self.key.length)) == Some(self.count)
    }

    fn recount(&mut self) {
        let below = self.left.iter().chain(&self.right).map(|child| child.count).sum::<u64>();
        self.count = below + u64::from(self.value.is_some());
    }

    fn child(&self, key: Key) -> Option<&Node<V>> {
        if key.goes_right(self.key.length) { self.right.as_deref() } else { self.left.as_deref() }
    }
}

/// A map from networks of both address families to values. A clone increments two reference counts and copies nothing.
#[derive(Clone, Debug)]
pub struct Trie<V> {
    v4: Link<V>,
    v6: Link<V>,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { v4: None, v6: None }
    }
}

impl<V> Trie<V> {
    fn root(&self, network: Network) -> Option<&Node<V>> {
        if network.is_ipv4() { self.v4.as_deref() } else { self.v6.as_deref() }
    }

    /// Whether the map holds nothing.
    pub fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }

    /// The value of exactly this network.
    pub fn get(&self, network: Network) -> Option<&V> {
        let key = Key::new(network);
        let mut link = self.root(network);
        while let Some(node) = link {
            if !node.key.covers(key) {
                return None;
            }
            if node.key.length == key.length {
                return node.value.as_ref();
            }
            link = node.child(key);
        }
        None
    }

    /// The values of the networks that contain this one, and of the network itself, the least specific one first.
    pub fn chain(&self, network: Network) -> Chain<'_, V> {
        Chain { key: Key::new(network), link: self.root(network) }
    }

    /// The values of the networks inside this one, and of the network itself, ordered by first address, then by length.
    pub fn within(&self, network: Network) -> Within<'_, V> {
        Within { stack: self.subtree(network).into_iter().collect() }
    }

    /// The node above everything inside a network.
    fn subtree(&self, network: Network) -> Option<&Node<V>> {
        let key = Key::new(network);
        let mut link = self.root(network);
        while let Some(node) = link {
            if key.covers(node.key) {
                return Some(node);
            }
            if !node.key.covers(key) {
                break;
            }
            link = node.child(key);
        }
        None
    }

    /// The values of the networks inside `within`, or of all networks, from `first` on. The order is that of
    /// [`Trie::values`]. Visits no node that sorts before `first`, except those on its path.
    pub fn values_from(&self, within: Option<Network>, first: Network) -> Within<'_, V> {
        let (v4, v6) = match within {
            None => (self.v4.as_deref(), self.v6.as_deref()),
            Some(network) if network.is_ipv4() => (self.subtree(network), None),
            Some(network) => (None, self.subtree(network)),
        };
        let mut stack = Vec::new();
        if first.is_ipv4() {
            stack.extend(v6);
            seek(&mut stack, v4, Key::new(first));
        } else {
            seek(&mut stack, v6, Key::new(first));
        }
        Within { stack }
    }

    /// The lowest host from `first` to `last` that has no value; `None` if all have one. Both are of one family. For maps of hosts
    /// only. Visits nodes on two paths at most, however many hosts there are.
    pub fn first_missing_host(&self, first: IpAddr, last: IpAddr) -> Option<IpAddr> {
        let (root, bits) = if first.is_ipv4() { (&self.v4, 32u8) } else { (&self.v6, 128) };
        let unused_bits = 128 - u32::from(bits);
        let from = address_number(first) << unused_bits;
        let missing = match root.as_deref() {
            None => from,
            Some(root) => first_missing(root, from, bits)?,
        } >> unused_bits;
        (missing <= address_number(last)).then(|| address_from_number(missing, first.is_ipv4()))
    }

    /// All values, IPv4 before IPv6, ordered by first address, then by length.
    pub fn values(&self) -> Within<'_, V> {
        Within { stack: self.v6.iter().chain(&self.v4).map(AsRef::as_ref).collect() }
    }
}

impl<V: Clone> Trie<V> {
    /// Changes the value of a network. `change` gets the present value, or `None`, and replaces it; `None` removes it.
    pub fn update(&mut self, network: Network, change: impl FnOnce(&mut Option<V>)) {
        let root = if network.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        update(root, Key::new(network), change);
    }
}

/// Pushes the nodes whose subtrees hold everything from a key on, so that the first one is on top.
fn seek<'a, V>(stack: &mut Vec<&'a Node<V>>, mut link: Option<&'a Node<V>>, first: Key) {
    while let Some(node) = link {
        if (node.key.bits, node.key.length) >= (first.bits, first.length) {
            stack.push(node);
            return;
        }
        if !node.key.covers(first) {
            // The whole subtree sorts before the key.
            return;
        }
        link = if first.goes_right(node.key.length) {
            node.right.as_deref()
        } else {
            stack.extend(node.right.as_deref());
            node.left.as_deref()
        };
    }
}

/// The lowest host from `from` on without a value, which may lie behind the subtree; `None` if there is no host behind it. Hosts have
/// `bits` bits.
fn first_missing<V>(node: &Node<V>, from: u128, bits: u8) -> Option<u128> {
    let (first, last) = (node.key.bits, node.key.last());
    if from < first || from > last {
        return Some(from);
    }
    if node.key.length == bits || node.is_full(bits) {
        return last.checked_add(1);
    }
    let mut from = from;
    for child in [&node.left, &node.right].into_iter().flatten() {
        // What lies before the child, or between the two, has no value.
        from = first_missing(child, from, bits)?;
        if from < child.key.bits {
            return Some(from);
        }
    }
    Some(from)
}

fn update<V: Clone>(link: &mut Link<V>, key: Key, change: impl FnOnce(&mut Option<V>)) {
    let Some(shared) = link else {
        let mut value = None;
        change(&mut value);
        *link = value.map(|value| Node::leaf(key, value));
        return;
    };
    let here = shared.key;
    if !here.covers(key) {
        let mut value = None;
        change(&mut value);
        if let Some(value) = value {
            *link = Some(split(shared.clone(), key, value));
        }
        return;
    }
    let node = Arc::make_mut(shared);
    if here.length == key.length {
        change(&mut node.value);
    } else if key.goes_right(here.length) {
        update(&mut node.right, key, change);
    } else {
        update(&mut node.left, key, change);
    }
    node.recount();
    // A branching point that has lost a child is not needed any more.
    if node.value.is_none() {
        match (&node.left, &node.right) {
            (Some(_), Some(_)) => {}
            (Some(only), None) | (None, Some(only)) => *link = Some(only.clone()),
            (None, None) => *link = None,
        }
    }
}

/// Inserts a key that the node does not cover: above the node, or beside it under a new branching point.
fn split<V>(old: Arc<Node<V>>, key: Key, value: V) -> Arc<Node<V>> {
    let common = key.common(old.key);
    let old_goes_right = old.key.goes_right(common.length);
    let (beside, value) =
        if common.length == key.length { (None, Some(value)) } else { (Some(Node::leaf(key, value)), None) };
    let (left, right) = if old_goes_right { (beside, Some(old)) } else { (Some(old), beside) };
    let mut node = Node { key: common, value, count: 0, left, right };
    node.recount();
    Arc::new(node)
}

/// Iterates over the values on the path to a network. See [`Trie::chain`].
#[derive(Debug)]
pub struct Chain<'a, V> {
    key: Key,
    link: Option<&'a Node<V>>,
}

impl<'a, V> Iterator for Chain<'a, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<&'a V> {
        while let Some(node) = self.link {
            if !node.key.covers(self.key) {
                return None;
            }
            self.link = if node.key.length == self.key.length { None } else { node.child(self.key) };
            if let Some(value) = &node.value {
                return Some(value);
            }
        }
        None
    }
}

/// Iterates over the values of a subtree. See [`Trie::within`].
#[derive(Debug)]
pub struct Within<'a, V> {
    stack: Vec<&'a Node<V>>,
}

impl<'a, V> Iterator for Within<'a, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<&'a V> {
        while let Some(node) = self.stack.pop() {
            self.stack.extend(node.right.as_deref());
            self.stack.extend(node.left.as_deref());
            if let Some(value) = &node.value {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Only a few bits vary, so that networks are often nested or equal.
    fn network() -> impl Strategy<Value = Network> {
        prop_oneof![
            (any::<u8>(), 0u8..=32).prop_map(|(bits, length)| {
                let address = u32::from(bits) << 26 | u32::from(bits) >> 3;
                Network::from(Ipv4Net::new(address.into(), length).unwrap())
            }),
            (any::<u8>(), 0u8..=128).prop_map(|(bits, length)| {
                let address = u128::from(bits) << 122 | u128::from(bits) >> 3;
                Network::from(Ipv6Net::new(address.into(), length).unwrap())
            }),
        ]
    }

    fn build(entries: &[(Network, Option<u16>)]) -> (Trie<u16>, BTreeMap<Network, u16>) {
        let (mut trie, mut model) = (Trie::default(), BTreeMap::new());
        for (network, value) in entries {
            trie.update(*network, |slot| *slot = *value);
            match value {
                Some(value) => model.insert(*network, *value),
                None => model.remove(network),
            };
        }
        (trie, model)
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_linear_search(
            entries in prop::collection::vec((network(), any::<Option<u16>>()), 0..60),
            asked in network(),
        ) {
            let (trie, model) = build(&entries);
            prop_assert_eq!(trie.get(asked), model.get(&asked));

            let mut covering: Vec<_> = model.iter().filter(|(network, _)| network.contains(asked)).collect();
            covering.sort_by_key(|(network, _)| network.length());
            let covering: Vec<u16> = covering.into_iter().map(|(_, value)| *value).collect();
            prop_assert_eq!(trie.chain(asked).copied().collect::<Vec<_>>(), covering);

            let mut inside: Vec<_> = model.iter().filter(|(network, _)| asked.contains(**network)).collect();
            inside.sort_by_key(|(network, _)| (network.first(), network.length()));
            let inside: Vec<u16> = inside.into_iter().map(|(_, value)| *value).collect();
            prop_assert_eq!(trie.within(asked).copied().collect::<Vec<_>>(), inside);
            prop_assert_eq!(trie.values().count(), model.len());
        }

        #[test]
        fn a_walk_begins_at_any_network_and_stays_within_another(
            entries in prop::collection::vec((network(), any::<Option<u16>>()), 0..60),
            within in prop::option::of(network()),
            first in network(),
        ) {
            let (trie, model) = build(&entries);
            let expected: Vec<u16> = model
                .range(first..)
                .filter(|(network, _)| within.is_none_or(|within| within.contains(**network)))
                .map(|(_, value)| *value)
                .collect();
            prop_assert_eq!(trie.values_from(within, first).copied().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn a_missing_host_is_found_as_by_trying_each(
            hosts in prop::collection::vec((0u8..40, any::<bool>()), 0..80),
            first in 0u8..45,
            length in 0u8..45,
            ipv4: bool,
        ) {
            // Around a boundary of many bits, and at the end of the space.
            for base in if ipv4 { [0x0a00_fff0u128, 0xffff_ffc0] } else { [0xffff_ffff_ffff_fff0, u128::MAX - 63] } {
                let host = |number: u8| address_from_number(base + u128::from(number), ipv4);
                let (mut trie, mut model) = (Trie::default(), std::collections::BTreeSet::new());
                for (number, recorded) in &hosts {
                    let network = Network::host(host(*number));
                    trie.update(network, |slot| *slot = recorded.then_some(()));
                    if *recorded { model.insert(*number); } else { model.remove(number); }
                }
                let last = first + length.min(50 - first);
                let expected = (first..=last).find(|number| !model.contains(number)).map(host);
                prop_assert_eq!(trie.first_missing_host(host(first), host(last)), expected);
            }
        }

        #[test]
        fn an_older_version_never_changes(
            before in prop::collection::vec((network(), any::<Option<u16>>()), 0..40),
            after in prop::collection::vec((network(), any::<Option<u16>>()), 0..40),
        ) {
            let (trie, model) = build(&before);
            let mut newer = trie.clone();
            for (network, value) in &after {
                newer.update(*network, |slot| *slot = *value);
            }
            prop_assert_eq!(trie.values().count(), model.len());
            for (network, value) in &model {
                prop_assert_eq!(trie.get(*network), Some(value));
            }
        }
    }
}
