//! Networks as the keys of a trie: the bits of an address of one family, and how many of them count.

use ipnet::IpNet;

use crate::model::Network;

/// An address of one family as a number.
pub(super) trait Bits: Copy + Ord {
    /// How many bits an address has.
    const LENGTH: u8;

    /// How many leading bits two addresses have in common.
    fn in_common(self, other: Self) -> u8;

    /// The bit after the leading `at` bits; there must be one.
    fn bit(self, at: u8) -> bool;

    /// The address with the leading `length` bits of this one, and zeros behind them.
    fn first(self, length: u8) -> Self;

    /// The address with the leading `length` bits of this one, and ones behind them.
    fn last(self, length: u8) -> Self;

    /// The next address. `None` after the last one.
    fn next(self) -> Option<Self>;
}

macro_rules! impl_bits {
    ($bits:ty, $length:literal) => {
        impl Bits for $bits {
            const LENGTH: u8 = $length;

            fn in_common(self, other: Self) -> u8 {
                u8::try_from((self ^ other).leading_zeros()).unwrap_or(Self::LENGTH)
            }

            fn bit(self, at: u8) -> bool {
                (self >> (Self::LENGTH - 1 - at)) & 1 == 1
            }

            fn first(self, length: u8) -> Self {
                self & !Self::MAX.checked_shr(u32::from(length)).unwrap_or(0)
            }

            fn last(self, length: u8) -> Self {
                self | Self::MAX.checked_shr(u32::from(length)).unwrap_or(0)
            }

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
        }
    };
}

impl_bits!(u32, 32);
impl_bits!(u128, 128);

/// A network of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<B> {
    pub(super) bits: B,
    pub(super) length: u8,
}

impl<B: Bits> Key<B> {
    pub(super) fn covers(self, other: Self) -> bool {
        self.length <= other.length && self.bits.in_common(other.bits) >= self.length
    }

    /// Whether this key belongs to the right child of a node of length `at`: the next bit decides.
    pub(super) fn goes_right(self, at: u8) -> bool {
        at < B::LENGTH && self.bits.bit(at)
    }

    /// The greatest address that the key covers.
    pub(super) fn last(self) -> B {
        self.bits.last(self.length)
    }

    /// The longest key that covers both keys.
    pub(super) fn common(self, other: Self) -> Self {
        let length = self.bits.in_common(other.bits).min(self.length).min(other.length);
        Self { bits: self.bits.first(length), length }
    }
}

/// The key of a network, of the family that it belongs to.
pub(super) enum FamilyKey {
    V4(Key<u32>),
    V6(Key<u128>),
}

impl FamilyKey {
    pub(super) fn of(network: Network) -> Self {
        let length = network.length();
        match network.net() {
            IpNet::V4(net) => Self::V4(Key { bits: net.network().to_bits(), length }),
            IpNet::V6(net) => Self::V6(Key { bits: net.network().to_bits(), length }),
        }
    }
}
