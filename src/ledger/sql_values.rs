//! Conversions between Rust's numbers and times and the BIGINT that both databases store.

use std::net::IpAddr;

use jiff::Timestamp;

use super::error::Error;
use crate::model::address_number;

/// Implements `sqlx::FromRow` for a struct whose fields have the names of the columns, for both databases. A macro of ours and not
/// sqlx's derive: that one brings both databases and their TLS into the build a second time, compiled for the compiler itself.
macro_rules! impl_from_row {
    ($row:ident { $($column:ident),+ $(,)? }) => {
        impl sqlx::FromRow<'_, sqlx::sqlite::SqliteRow> for $row {
            fn from_row(row: &sqlx::sqlite::SqliteRow) -> Result<Self, sqlx::Error> {
                use sqlx::Row as _;
                Ok(Self { $($column: row.try_get(stringify!($column))?),+ })
            }
        }

        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $row {
            fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
                use sqlx::Row as _;
                Ok(Self { $($column: row.try_get(stringify!($column))?),+ })
            }
        }
    };
}
pub(super) use impl_from_row;

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

/// An address as text that sorts as addresses do: 4 or 6, then 32 hexadecimal digits.
pub(super) fn address_text(address: IpAddr) -> String {
    let family = if address.is_ipv4() { 4 } else { 6 };
    format!("{family}{:032x}", address_number(address))
}
