//! Time as a parameter.
//!
//! Every part that needs the time of day takes a [`Clock`], so that a test can simulate a year within a second. This file is
//! the only one that may ask the system for it; clippy refuses `Timestamp::now` everywhere else (clippy.toml).

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A source of the current time.
pub trait Clock: Send + Sync {
    /// The current instant.
    fn now(&self) -> Timestamp;

    /// The date of an instant in the time zone in which lease terms begin and end.
    fn day_of(&self, at: Timestamp) -> Date;

    /// The current date in that time zone.
    fn today(&self) -> Date {
        self.now_and_today().1
    }

    /// The current instant and its date, by one look at the clock.
    fn now_and_today(&self) -> (Timestamp, Date) {
        let now = self.now();
        (now, self.day_of(now))
    }
}

/// The clock of the operating system, with the configured time zone.
#[derive(Debug)]
pub struct SystemClock {
    zone: TimeZone,
    /// The latest date that was computed. It saves the time zone computation, which is needed once a day instead of once a
    /// call. Any caller may replace it; the value is always consistent in itself.
    day: ArcSwap<Day>,
}

/// A date and the seconds since the epoch during which it is the current date: `first <= second < end`.
#[derive(Debug)]
struct Day {
    first: i64,
    end: i64,
    date: Date,
}

impl Day {
    /// The day that contains an instant. Where clocks change, midnight may not exist or occur twice; jiff resolves both.
    fn containing(at: Timestamp, zone: &TimeZone) -> Self {
        let zoned = at.to_zoned(zone.clone());
        let date = zoned.date();
        let first = zoned.start_of_day().map_or(at, |start| start.timestamp());
        let end = zoned.tomorrow().and_then(|next| next.start_of_day()).map_or(at, |start| start.timestamp());
        Self { first: first.as_second(), end: end.as_second(), date }
    }
}

impl SystemClock {
    /// A clock whose days begin at midnight of this time zone.
    pub fn new(zone: TimeZone) -> Self {
        let day = Day::containing(Timestamp::UNIX_EPOCH, &zone);
        Self { zone, day: ArcSwap::from_pointee(day) }
    }

    fn date_at(&self, now: Timestamp) -> Date {
        let second = now.as_second();
        let day = self.day.load();
        if day.first <= second && second < day.end {
            return day.date;
        }
        let day = Arc::new(Day::containing(now, &self.zone));
        self.day.store(day.clone());
        day.date
    }
}

impl Clock for SystemClock {
    // The one place that asks the system for the time.
    #[allow(clippy::disallowed_methods)]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn day_of(&self, at: Timestamp) -> Date {
        at.to_zoned(self.zone.clone()).date()
    }

    fn now_and_today(&self) -> (Timestamp, Date) {
        let now = self.now();
        (now, self.date_at(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_remembered_date_is_the_date(
            seconds in prop::collection::vec(1_700_000_000i64..2_000_000_000, 1..20),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Beirut"]),
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let clock = SystemClock::new(zone.clone());
            for second in seconds {
                for near in [second, second + 1, second + 3_600] {
                    let at = Timestamp::from_second(near).unwrap();
                    prop_assert_eq!(clock.date_at(at), at.to_zoned(zone.clone()).date());
                }
            }
        }
    }
}
