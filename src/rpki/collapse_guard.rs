//! Decides whether a new set of VRPs may replace the current one. Pure.

use std::fmt;

/// A new set of VRPs was rejected, because it is too small or lost too much at once.
///
/// The usual causes are a trust anchor that is unreachable or a validator that has just started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Collapse {
    /// VRPs in the current set; 0 if there is none.
    pub before: usize,
    /// VRPs in the rejected set.
    pub after: usize,
}

impl fmt::Display for Collapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of {} VRPs only {} are left: the new set is rejected", self.before, self.after)
    }
}

/// The limits below which a new set of VRPs is rejected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CollapseGuard {
    /// A set with fewer VRPs than this is always rejected.
    pub min_vrps: usize,
    /// The share of the current VRPs that one step may remove, from 0 to 1.
    pub max_loss_share: f64,
}

/// The share is not applied to smaller sets: a laboratory with three ROAs may go down to one.
const SHARE_APPLIES_FROM: usize = 1000;

impl Default for CollapseGuard {
    fn default() -> Self {
        Self { min_vrps: 1, max_loss_share: 0.2 }
    }
}

impl CollapseGuard {
    /// Checks whether a set of `after` VRPs may replace one of `before` VRPs (`None`: there is no current set).
    pub fn check(&self, before: Option<usize>, after: usize) -> Result<(), Collapse> {
        let before = before.unwrap_or(0);
        let rejected = Err(Collapse { before, after });
        if after < self.min_vrps {
            return rejected;
        }
        let lost = before.saturating_sub(after);
        // The conversion is exact: sizes are far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        if before >= SHARE_APPLIES_FROM && lost as f64 > before as f64 * self.max_loss_share {
            return rejected;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_collapses_is_rejected() {
        let guard = CollapseGuard::default();
        assert!(guard.check(None, 0).is_err(), "an empty set is an outage");
        assert!(guard.check(None, 1).is_ok());
        assert!(guard.check(Some(800_000), 640_000).is_ok());
        assert!(guard.check(Some(800_000), 639_999).is_err());
        assert!(guard.check(Some(999), 1).is_ok(), "the share does not apply to a laboratory");
        assert!(guard.check(Some(639_999), 800_000).is_ok(), "growth is never limited");
        assert!(CollapseGuard { min_vrps: 400_000, ..guard }.check(None, 3).is_err());
    }
}
