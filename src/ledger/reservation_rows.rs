//! The ranges that open writes reserve, in SQLite and PostgreSQL.

use std::net::IpAddr;

use super::database::{PostgresLedger, SqliteLedger};
use super::error::Error;
use super::intent::{Reservation, ReservationChange, ReservationHold, ReservedRange};
use super::sql_values::{address_text, from_sql, impl_from_row, to_sql};
use crate::model::{RequestId, VrfScope, address_from_number};

/// A row of the table `reservation`.
pub(super) struct ReservationRow {
    request_id: String,
    vrf: i64,
    first: String,
    last: String,
    settled_until: Option<i64>,
}

impl_from_row!(ReservationRow { request_id, vrf, first, last, settled_until });

impl ReservationRow {
    pub(super) fn into_range(self) -> Result<ReservedRange, Error> {
        Ok(ReservedRange {
            range: Reservation {
                scope: VrfScope::from_number(from_sql(self.vrf)),
                first: address_of(&self.first)?,
                last: address_of(&self.last)?,
            },
            request: self.request_id.parse().map_err(Error::unreadable)?,
            hold: match self.settled_until {
                None => ReservationHold::Exclusive,
                Some(_) => ReservationHold::Taken,
            },
        })
    }
}

fn address_of(text: &str) -> Result<IpAddr, Error> {
    let unreadable = || Error::Unreadable(format!("{text:?} is no address of a reservation"));
    let (family, digits) = text.split_at_checked(1).ok_or_else(unreadable)?;
    let number = u128::from_str_radix(digits, 16).map_err(|_| unreadable())?;
    match family {
        "4" if number <= u128::from(u32::MAX) => Ok(address_from_number(number, true)),
        "6" => Ok(address_from_number(number, false)),
        _ => Err(unreadable()),
    }
}

/// Implements the reservations for one database; `database.rs` says why this is a macro.
macro_rules! impl_reservations {
    ($ledger:ident, $database:ident) => {
        impl $ledger {
            /// Waits until no other transaction reserves. Locks: the row of `reservation_turn`, until the transaction ends, so that
            /// of two writers at once the second sees what the first has reserved.
            pub(super) async fn take_turn(transaction: &mut sqlx::Transaction<'_, sqlx::$database>) -> Result<(), Error> {
                sqlx::query("UPDATE reservation_turn SET turn = turn + 1").execute(&mut **transaction).await?;
                Ok(())
            }

            /// Reserves ranges for a request, in a transaction that has the turn. Answers false if another open write holds an
            /// address of them. Cost: for each range a look at the index; reservations of open writes are few.
            pub(super) async fn reserve(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                request: &RequestId,
                ranges: &[Reservation],
            ) -> Result<bool, Error> {
                for range in ranges {
                    let (first, last) = (address_text(range.first), address_text(range.last));
                    let taken = sqlx::query(
                        "SELECT 1 FROM reservation WHERE vrf = $1 AND settled_until IS NULL AND request_id <> $2
                         AND first <= $3 AND last >= $4 LIMIT 1",
                    )
                    .bind(to_sql(range.scope.number()))
                    .bind(request.as_str())
                    .bind(&last)
                    .bind(&first)
                    .fetch_optional(&mut **transaction)
                    .await?;
                    if taken.is_some() {
                        return Ok(false);
                    }
                    sqlx::query(
                        "INSERT INTO reservation (request_id, vrf, first, last) VALUES ($1, $2, $3, $4)
                         ON CONFLICT (request_id, vrf, first) DO UPDATE SET last = excluded.last, settled_until = NULL",
                    )
                    .bind(request.as_str())
                    .bind(to_sql(range.scope.number()))
                    .bind(first)
                    .bind(last)
                    .execute(&mut **transaction)
                    .await?;
                }
                Ok(true)
            }

            pub(super) async fn drop_reservations(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                request: &RequestId,
            ) -> Result<(), Error> {
                sqlx::query("DELETE FROM reservation WHERE request_id = $1")
                    .bind(request.as_str())
                    .execute(&mut **transaction)
                    .await?;
                Ok(())
            }

            pub(super) async fn change_reservations(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                request: &RequestId,
                change: &ReservationChange,
            ) -> Result<bool, Error> {
                match change {
                    ReservationChange::Keep => Ok(true),
                    ReservationChange::Replace(ranges) => {
                        Self::drop_reservations(transaction, request).await?;
                        Self::reserve(transaction, request, ranges).await
                    }
                    ReservationChange::Settle { until } => {
                        sqlx::query("UPDATE reservation SET settled_until = $2 WHERE request_id = $1")
                            .bind(request.as_str())
                            .bind(until.as_microsecond())
                            .execute(&mut **transaction)
                            .await?;
                        Ok(true)
                    }
                    ReservationChange::Release => {
                        Self::drop_reservations(transaction, request).await?;
                        Ok(true)
                    }
                }
            }
        }
    };
}

impl_reservations!(SqliteLedger, Sqlite);
impl_reservations!(PostgresLedger, Postgres);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_reservations_sort_as_addresses_do() {
        let addresses = ["0.0.0.0", "9.0.0.1", "203.0.113.5", "::", "2001:db8::1"];
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let texts: Vec<String> = addresses.iter().map(|address| address_text(*address)).collect();
        assert!(texts.is_sorted());
        let read: Vec<IpAddr> = texts.iter().map(|text| address_of(text).unwrap()).collect();
        assert_eq!(read, addresses);
        assert!(address_of("4ffffffffffffffffffffffffffffffff").is_err());
        assert!(address_of("").is_err());
    }
}
