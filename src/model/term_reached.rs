//! A date of a lease that is near or has passed.

use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::prefix::Prefix;

/// The two dates of a term that Leasehold warns about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermDate {
    /// The last day of the lease.
    Expiry,
    /// The last day on which the lease can be renewed or notice can be given.
    Notice,
}

impl TermDate {
    /// The name of the date in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expiry => "expiry",
            Self::Notice => "notice",
        }
    }
}

/// The number of days before a date at which an event is published; 0 is the day itself. A smaller threshold is tighter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Threshold(pub i32);

impl Threshold {
    /// The tightest threshold: the date has passed.
    pub const PASSED: Self = Self(-1);

    /// Whether this threshold means that the date has passed.
    pub fn is_passed(self) -> bool {
        self < Self(0)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_passed() { f.write_str("passed") } else { write!(f, "{} days", self.0) }
    }
}

/// A date of a lease has reached a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermReached {
    /// The prefix with its lease, as it was when the threshold was reached.
    pub prefix: Arc<Prefix>,
    pub which: TermDate,
    pub date: Date,
    /// The tightest threshold that was reached.
    pub threshold: Threshold,
    /// The number of days that were left until the date; negative if it had passed.
    pub days_left: i32,
}
