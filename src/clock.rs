//! The clock, as a parameter: so that a test can live a year in a second.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The instant.
    fn now(&self) -> Timestamp;

    /// The date, in the time zone in which leases begin and end.
    fn today(&self) -> Date;
}

/// The system's clock, with the configured time zone.
#[derive(Clone, Debug)]
pub struct SystemClock {
    zone: TimeZone,
}

impl SystemClock {
    /// Leases begin and end at midnight of this zone.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn today(&self) -> Date {
        self.now().to_zoned(self.zone.clone()).date()
    }
}
