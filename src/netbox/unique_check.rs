//! What it costs NetBox to check that an allocation id is unique.

use std::time::Duration;

/// A check that takes an address longer than this is worth an index. With one it takes well below 0.1 ms.
const WORTH_AN_INDEX: Duration = Duration::from_millis(1);

/// The cost of the check, measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniqueCheck {
    /// What it adds to the time that NetBox takes for one address.
    pub per_address: Duration,
    /// How many addresses NetBox has.
    pub addresses: u64,
}

impl UniqueCheck {
    /// Whether an index would make a difference: there is none, and the table is not small.
    pub fn needs_index(&self) -> bool {
        self.per_address > WORTH_AN_INDEX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_advised_where_the_check_takes_long() {
        let check = |micros| UniqueCheck { per_address: Duration::from_micros(micros), addresses: 206_000 };
        assert!(check(11_000).needs_index());
        assert!(!check(30).needs_index());
    }
}
