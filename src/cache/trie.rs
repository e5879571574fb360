//! A persistent Patricia trie: prefixes to values, with every version sharing what it has in common with the last.
//!
//! Each node holds a prefix of the key and at most two children below it, so a look-up walks at most as many nodes as
//! there are recorded prefixes on its way, plus the branching points between them. A change copies that path and
//! nothing else ([`Arc::make_mut`]); while nobody else holds a version, not even that.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::Network;

/// A key: the leading `length` bits of `bits`, which are left-aligned; IPv4 stands in the upper 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    bits: u128,
    length: u8,
}

impl Key {
    fn new(network: Network) -> Self {
        Self { bits: left_aligned(network.first()), length: network.length() }
    }

    fn mask(length: u8) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
    }

    fn covers(self, other: Self) -> bool {
        self.length <= other.length && (self.bits ^ other.bits) & Self::mask(self.length) == 0
    }

    /// The bit that decides between the children of a node of this length.
    fn goes_right(self, at: u8) -> bool {
        at < 128 && (self.bits >> (127 - at)) & 1 == 1
    }

    /// The longest key that covers both.
    fn common(self, other: Self) -> Self {
        let same = u8::try_from((self.bits ^ other.bits).leading_zeros()).unwrap_or(128);
        let length = same.min(self.length).min(other.length);
        Self { bits: self.bits & Self::mask(length), length }
    }
}

fn left_aligned(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

type Link<V> = Option<Arc<Node<V>>>;

#[derive(Clone, Debug)]
struct Node<V> {
    key: Key,
    /// `None` where the node only branches.
    value: Option<V>,
    left: Link<V>,
    right: Link<V>,
}

impl<V> Node<V> {
    fn leaf(key: Key, value: V) -> Arc<Self> {
        Arc::new(Self { key, value: Some(value), left: None, right: None })
    }

    fn child(&self, key: Key) -> Option<&Node<V>> {
        if key.goes_right(self.key.length) { self.right.as_deref() } else { self.left.as_deref() }
    }
}

/// Prefixes of both families to values. Cloning is two reference counts.
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

    /// The value at exactly this prefix.
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

    /// The values of every prefix that covers this one, itself included, the least specific first.
    pub fn chain(&self, network: Network) -> Chain<'_, V> {
        Chain { key: Key::new(network), link: self.root(network) }
    }

    /// The values of every prefix within this one, itself included, in order: by first address, the shorter before the
    /// longer.
    pub fn within(&self, network: Network) -> Within<'_, V> {
        let key = Key::new(network);
        let mut link = self.root(network);
        while let Some(node) = link {
            if key.covers(node.key) {
                return Within { stack: vec![node] };
            }
            if !node.key.covers(key) {
                break;
            }
            link = node.child(key);
        }
        Within { stack: Vec::new() }
    }

    /// Every value, IPv4 before IPv6, in order.
    pub fn values(&self) -> Within<'_, V> {
        Within { stack: self.v6.iter().chain(&self.v4).map(AsRef::as_ref).collect() }
    }
}

impl<V: Clone> Trie<V> {
    /// Changes the value at this prefix: `change` sees what is there and leaves what shall be.
    pub fn update(&mut self, network: Network, change: impl FnOnce(&mut Option<V>)) {
        let root = if network.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        update(root, Key::new(network), change);
    }
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
    // A node without a value is there to branch; with one child or none it has no reason left.
    if node.value.is_none() {
        match (&node.left, &node.right) {
            (Some(_), Some(_)) => {}
            (Some(only), None) | (None, Some(only)) => *link = Some(only.clone()),
            (None, None) => *link = None,
        }
    }
}

/// Puts a new key beside or above a node that does not cover it.
fn split<V>(old: Arc<Node<V>>, key: Key, value: V) -> Arc<Node<V>> {
    let common = key.common(old.key);
    let old_goes_right = old.key.goes_right(common.length);
    let (beside, value) =
        if common.length == key.length { (None, Some(value)) } else { (Some(Node::leaf(key, value)), None) };
    let (left, right) = if old_goes_right { (beside, Some(old)) } else { (Some(old), beside) };
    Arc::new(Node { key: common, value, left, right })
}

/// Values on the way down to a prefix.
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

/// Values below a prefix, in order.
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

    /// Few bits vary, so that prefixes nest and collide often.
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
