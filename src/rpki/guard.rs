//! Whether a new set of VRPs is believed. Pure.

use std::fmt;

/// A set that is refused: most of what stood is gone at once, which is an outage of a trust anchor or of the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Collapse {
    /// How many VRPs stood.
    pub before: usize,
    /// How many there are now.
    pub after: usize,
}

impl fmt::Display for Collapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of {} VRPs only {} are left: not believed", self.before, self.after)
    }
}

/// What is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    /// A set with fewer than this is never believed.
    pub at_least: usize,
    /// The share of what stood that may go in one step, from 0 to 1.
    pub may_lose: f64,
}

/// Below so many, a share means nothing: a laboratory's three ROAs may become one.
const SMALL: usize = 1000;

impl Default for Guard {
    fn default() -> Self {
        Self { at_least: 1, may_lose: 0.2 }
    }
}

impl Guard {
    /// Judges a set of this size that would take the place of one of that size, if there is one.
    pub fn judge(&self, before: Option<usize>, after: usize) -> Result<(), Collapse> {
        let before = before.unwrap_or(0);
        let refused = Err(Collapse { before, after });
        if after < self.at_least {
            return refused;
        }
        let lost = before.saturating_sub(after);
        // Sizes are far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        if before >= SMALL && lost as f64 > before as f64 * self.may_lose {
            return refused;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_collapses_is_not_believed() {
        let guard = Guard::default();
        assert!(guard.judge(None, 0).is_err(), "an empty set is an outage");
        assert!(guard.judge(None, 1).is_ok());
        assert!(guard.judge(Some(800_000), 640_000).is_ok());
        assert!(guard.judge(Some(800_000), 639_999).is_err());
        assert!(guard.judge(Some(999), 1).is_ok(), "a laboratory");
        assert!(guard.judge(Some(639_999), 800_000).is_ok(), "it may always grow");
        assert!(Guard { at_least: 400_000, ..guard }.judge(None, 3).is_err());
    }
}
