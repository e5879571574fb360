//! The clock, as a parameter: so that a test can live a year in a second.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The instant.
    fn now(&self) -> Timestamp;

    /// The date of an instant, in the time zone in which leases begin and end.
    fn day_of(&self, at: Timestamp) -> Date;

    /// The date, in that zone.
    fn today(&self) -> Date {
        self.day_of(self.now())
    }
}

/// The system's clock, with the configured time zone.
#[derive(Debug)]
pub struct SystemClock {
    zone: TimeZone,
    /// The date of the last question and the seconds between which it holds: a zone's rules are asked once a day, not
    /// once a call.
    day: ArcSwap<Day>,
}

#[derive(Debug)]
struct Day {
    first: i64,
    /// The first second of the next day.
    end: i64,
    date: Date,
}

impl Day {
    /// The day that holds an instant. Midnight may not exist or come twice where clocks are changed; jiff knows.
    fn holding(at: Timestamp, zone: &TimeZone) -> Self {
        let zoned = at.to_zoned(zone.clone());
        let date = zoned.date();
        let first = zoned.start_of_day().map_or(at, |start| start.timestamp());
        let end = zoned.tomorrow().and_then(|next| next.start_of_day()).map_or(at, |start| start.timestamp());
        Self { first: first.as_second(), end: end.as_second(), date }
    }
}

impl SystemClock {
    /// Leases begin and end at midnight of this zone.
    pub fn new(zone: TimeZone) -> Self {
        let day = Day::holding(Timestamp::now(), &zone);
        Self { zone, day: ArcSwap::from_pointee(day) }
    }

    fn date_at(&self, now: Timestamp) -> Date {
        let second = now.as_second();
        let day = self.day.load();
        if day.first <= second && second < day.end {
            return day.date;
        }
        let day = Arc::new(Day::holding(now, &self.zone));
        self.day.store(day.clone());
        day.date
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn day_of(&self, at: Timestamp) -> Date {
        at.to_zoned(self.zone.clone()).date()
    }

    fn today(&self) -> Date {
        self.date_at(self.now())
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
