//! Fills an emulated NetBox with a given number of records.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use serde_json::json;

use super::records::{EmulatedRecord, RecordKind};
use super::state::EmulatorState;

/// The /24 prefixes of 10.0.0.0/8, which come first.
const IN_TEN: u32 = 1 << 16;
/// The /24 prefixes of 10.0.0.0/8 and of 240.0.0.0/4 without 255.0.0.0/8: reserved space, so a seeded prefix is nobody's.
const MAX_PREFIXES: u32 = 16 << 16;
/// Addresses in one /24: hosts .1 to .250.
const PER_PREFIX: u32 = 250;

/// More records were asked for than fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    #[error(
        "{asked} prefixes do not fit: at most {MAX_PREFIXES} can be made (each /24 of 10.0.0.0/8 and 240.0.0.0/4)"
    )]
    Prefixes { asked: u32 },
    #[error(
        "{asked} addresses do not fit: at most {limit} can be made in {prefixes} prefixes ({PER_PREFIX} in each)"
    )]
    Addresses { asked: u32, prefixes: u32, limit: u32 },
}

/// Adds the records, or none if there are too many. Without a prefix the addresses are those of 10.0.0.0/24.
pub(super) fn fill(state: &mut EmulatorState, prefixes: u32, addresses: u32) -> Result<(), SeedError> {
    if prefixes > MAX_PREFIXES {
        return Err(SeedError::Prefixes { asked: prefixes });
    }
    let spread = prefixes.max(1);
    let limit = spread * PER_PREFIX;
    if addresses > limit {
        return Err(SeedError::Addresses { asked: addresses, prefixes: spread, limit });
    }
    let now = state.now();
    for nth in 0..prefixes {
        let mut record = EmulatedRecord::new(RecordKind::Prefix, now);
        record.net = slash_24(network(nth));
        record.custom_fields.insert("lease_owner".to_owned(), json!(format!("LIR-{}", nth % 97)));
        record.custom_fields.insert("lease_expiry".to_owned(), json!(format!("20{:02}-06-01", 27 + nth % 9)));
        state.put(RecordKind::Prefix, record);
    }
    for nth in 0..addresses {
        let mut record = EmulatedRecord::new(RecordKind::Address, now);
        record.net = slash_24(network(nth % spread) + 1 + nth / spread);
        record.dns_name = format!("host-{nth}.customer.example");
        state.put(RecordKind::Address, record);
    }
    Ok(())
}

/// The first address of the nth /24, as a number.
fn network(nth: u32) -> u32 {
    let (base, nth) = if nth < IN_TEN {
        (Ipv4Addr::new(10, 0, 0, 0), nth)
    } else {
        (Ipv4Addr::new(240, 0, 0, 0), nth - IN_TEN)
    };
    base.to_bits() + (nth << 8)
}

fn slash_24(address: u32) -> Option<IpNet> {
    Ipv4Net::new(Ipv4Addr::from(address), 24).ok().map(IpNet::V4)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;

    fn empty() -> EmulatorState {
        EmulatorState::new(Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC)))
    }

    #[test]
    fn as_many_prefixes_are_made_as_asked_for() {
        let mut state = empty();
        assert_eq!(fill(&mut state, 100_000, 100_000), Ok(()));
        assert_eq!(state.count(RecordKind::Prefix), 100_000);
        let networks: HashSet<_> = state.all(RecordKind::Prefix).filter_map(|record| record.net).collect();
        assert_eq!(networks.len(), 100_000);
        assert_eq!(state.count(RecordKind::Address), 100_000);
    }

    #[test]
    fn the_last_prefix_that_fits_is_valid() {
        assert_eq!(network(IN_TEN - 1), Ipv4Addr::new(10, 255, 255, 0).to_bits());
        assert_eq!(network(IN_TEN), Ipv4Addr::new(240, 0, 0, 0).to_bits());
        assert_eq!(network(MAX_PREFIXES - 1), Ipv4Addr::new(254, 255, 255, 0).to_bits());
    }

    #[test]
    fn more_than_fit_are_refused_with_the_limit_and_nothing_is_made() {
        let mut state = empty();
        let error = fill(&mut state, MAX_PREFIXES + 1, 0).unwrap_err();
        assert!(error.to_string().contains("at most 1048576"), "{error}");
        let error = fill(&mut state, 2, 501).unwrap_err();
        assert_eq!(error, SeedError::Addresses { asked: 501, prefixes: 2, limit: 500 });
        assert_eq!((state.count(RecordKind::Prefix), state.count(RecordKind::Address)), (0, 0));
    }
}
