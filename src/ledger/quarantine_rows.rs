//! The quarantine in SQLite and PostgreSQL.

use std::net::IpAddr;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Postgres, QueryBuilder, Row as _, Sqlite};

use super::database::{PostgresLedger, SqliteLedger};
use super::error::Error;
use super::quarantine::{QuarantineStore, QuarantinedAddress};
use super::sql_values::{ROWS_PER_STATEMENT, from_sql, timestamp, to_sql};
use crate::model::VrfScope;

/// Implements [`QuarantineStore`] for one database; `database.rs` says why this is a macro.
macro_rules! impl_quarantine_store {
    ($ledger:ident, $database:ident) => {
        #[async_trait]
        impl QuarantineStore for $ledger {
            async fn quarantine(
                &self,
                scope: VrfScope,
                addresses: &[IpAddr],
                released_at: Timestamp,
            ) -> Result<(), Error> {
                // Replay: a second insert sets the time of the release again. Locks: each statement commits by itself, since an
                // address in quarantine without its neighbours is harmless. Cost: one look at the primary key an address.
                for chunk in addresses.chunks(ROWS_PER_STATEMENT) {
                    let mut query =
                        QueryBuilder::<$database>::new("INSERT INTO quarantine (vrf, address, released_at) ");
                    query.push_values(chunk, |mut values, address| {
                        values
                            .push_bind(to_sql(scope.number()))
                            .push_bind(address.to_string())
                            .push_bind(released_at.as_microsecond());
                    });
                    query
                        .push(" ON CONFLICT (vrf, address) DO UPDATE SET released_at = excluded.released_at");
                    query.build().execute(&self.pool).await?;
                }
                Ok(())
            }

            async fn quarantined(&self, released_after: Timestamp) -> Result<Vec<QuarantinedAddress>, Error> {
                // From the writing pool: an allocation that follows a release must see it.
                let rows = sqlx::query(
                    "SELECT vrf, address, released_at FROM quarantine WHERE released_at > $1 ORDER BY released_at",
                )
                    .bind(released_after.as_microsecond())
                    .fetch_all(&self.pool)
                    .await?;
                rows.iter()
                    .map(|row| {
                        let (vrf, text): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
                        let released = timestamp(row.try_get(2)?)?;
                        let address = text
                            .parse()
                            .map_err(|_| Error::Unreadable(format!("{text:?} is not an IP address")))?;
                        Ok(QuarantinedAddress {
                            scope: VrfScope::from_number(from_sql(vrf)),
                            address,
                            released,
                        })
                    })
                    .collect()
            }

            async fn lift(&self, scope: VrfScope, addresses: &[IpAddr]) -> Result<(), Error> {
                for chunk in addresses.chunks(ROWS_PER_STATEMENT) {
                    let mut query = QueryBuilder::<$database>::new("DELETE FROM quarantine WHERE vrf = ");
                    query.push_bind(to_sql(scope.number())).push(" AND address IN (");
                    let mut list = query.separated(", ");
                    for address in chunk {
                        list.push_bind(address.to_string());
                    }
                    query.push(")");
                    query.build().execute(&self.pool).await?;
                }
                Ok(())
            }

            async fn end_quarantine(&self, released_by: Timestamp) -> Result<(), Error> {
                sqlx::query("DELETE FROM quarantine WHERE released_at <= $1")
                    .bind(released_by.as_microsecond())
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }
        }
    };
}

impl_quarantine_store!(SqliteLedger, Sqlite);
impl_quarantine_store!(PostgresLedger, Postgres);
