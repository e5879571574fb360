//! Conversions between Rust's numbers and times and the BIGINT that both databases store.

use jiff::Timestamp;

use super::error::Error;

/// Rows that one statement inserts, or ids that one statement lists: both databases bound the number of parameters.
pub(super) const ROWS_PER_STATEMENT: usize = 500;

/// A number as BIGINT. Ids and sequences stay far below the limit; a number above it is stored as the limit.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that [`to_sql`] stored. Nothing stores a negative one; it would be read as 0.
pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A time that was stored as microseconds since the epoch.
pub(super) fn timestamp(microseconds: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(microseconds).map_err(Error::unreadable)
}
