//! The job leases in SQLite and PostgreSQL.

use async_trait::async_trait;
use jiff::Timestamp;

use super::database::{PostgresLedger, SqliteLedger};
use super::error::Error;
use super::intent::Owner;
use super::job_lease::{Fence, JobLeases};
use super::sql_values::from_sql;

/// Implements [`JobLeases`] for one database; `database.rs` says why this is a macro.
macro_rules! impl_job_leases {
    ($ledger:ident) => {
        #[async_trait]
        impl JobLeases for $ledger {
            async fn hold(
                &self,
                name: &str,
                owner: &Owner,
                now: Timestamp,
                until: Timestamp,
            ) -> Result<Option<Fence>, Error> {
                // Replay: the holder renews. Locks: the row, so that of two servers that ask at once the second finds a lease
                // that is held. Cost: one look at the primary key, and a sync to disk.
                let held: Option<(i64,)> = sqlx::query_as(
                    "INSERT INTO job_lease (name, owner, fence, held_until) VALUES ($1, $2, 1, $4)
                     ON CONFLICT (name) DO UPDATE SET
                         fence = CASE WHEN job_lease.owner = excluded.owner THEN job_lease.fence
                                      ELSE job_lease.fence + 1 END,
                         owner = excluded.owner, held_until = excluded.held_until
                     WHERE job_lease.owner = excluded.owner OR job_lease.held_until <= $3
                     RETURNING fence",
                )
                .bind(name)
                .bind(owner.as_str())
                .bind(now.as_microsecond())
                .bind(until.as_microsecond())
                .fetch_optional(&self.pool)
                .await?;
                Ok(held.map(|(fence,)| Fence(from_sql(fence))))
            }

            async fn give_back(&self, name: &str, owner: &Owner, now: Timestamp) -> Result<(), Error> {
                sqlx::query("UPDATE job_lease SET held_until = $3 WHERE name = $1 AND owner = $2")
                    .bind(name)
                    .bind(owner.as_str())
                    .bind(now.as_microsecond())
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }
        }
    };
}

impl_job_leases!(SqliteLedger);
impl_job_leases!(PostgresLedger);
