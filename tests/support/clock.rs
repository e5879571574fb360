//! A clock that a test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use leasehold::clock::{Clock, SystemClock};

/// A clock that shows the time that was last set.
pub struct SetClock(AtomicI64);

impl SetClock {
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now.as_second())))
    }

    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_second(), Ordering::SeqCst);
    }
}

/// The date of the system's clock in UTC, which a server of these tests uses.
pub fn today() -> Date {
    SystemClock::new(TimeZone::UTC).today()
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn day_of(&self, at: Timestamp) -> Date {
        at.to_zoned(TimeZone::UTC).date()
    }
}
