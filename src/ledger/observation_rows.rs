//! The observations in SQLite and PostgreSQL.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Postgres, QueryBuilder, Row as _, Sqlite};

use super::database::{PostgresLedger, SqliteLedger};
use super::error::Error;
use super::observation::{Observation, ObservationKind, Observations};
use super::sql_values::{ROWS_PER_STATEMENT, from_sql, to_sql};
use crate::model::PrefixId;

/// Implements [`Observations`] for one database; `database.rs` says why this is a macro.
macro_rules! impl_observations {
    ($ledger:ident, $database:ident, $begin:literal) => {
        #[async_trait]
        impl Observations for $ledger {
            async fn load(
                &self,
                kind: ObservationKind,
                prefix: Option<PrefixId>,
            ) -> Result<Vec<Observation>, Error> {
                // Locks: none. Cost: the primary key begins with kind and prefix, so only the rows asked for are read.
                let mut query = QueryBuilder::<$database>::new(
                    "SELECT prefix, subject, body FROM observation WHERE kind = ",
                );
                query.push_bind(kind.as_str());
                if let Some(prefix) = prefix {
                    query.push(" AND prefix = ").push_bind(to_sql(prefix.0));
                }
                query.push(" ORDER BY prefix, subject");
                let rows = query.build().fetch_all(&self.reads).await?;
                rows.iter()
                    .map(|row| {
                        let id: i64 = row.try_get(0)?;
                        Ok(Observation {
                            prefix: PrefixId(from_sql(id)),
                            subject: row.try_get(1)?,
                            body: row.try_get(2)?,
                        })
                    })
                    .collect()
            }

            async fn prefixes(&self, kind: ObservationKind) -> Result<Vec<PrefixId>, Error> {
                let rows =
                    sqlx::query("SELECT DISTINCT prefix FROM observation WHERE kind = $1 ORDER BY prefix")
                        .bind(kind.as_str())
                        .fetch_all(&self.reads)
                        .await?;
                rows.iter().map(|row| Ok(PrefixId(from_sql(row.try_get(0)?)))).collect()
            }

            async fn put(
                &self,
                kind: ObservationKind,
                rows: &[Observation],
                now: Timestamp,
            ) -> Result<(), Error> {
                // Replay: stores the same rows again. Locks: one transaction, so a reader sees all of the rows or none. Cost: one
                // look at the primary key a row.
                let mut transaction = self.pool.begin_with($begin).await?;
                for chunk in rows.chunks(ROWS_PER_STATEMENT) {
                    let mut query = QueryBuilder::<$database>::new(
                        "INSERT INTO observation (kind, prefix, subject, body, updated_at) ",
                    );
                    query.push_values(chunk, |mut values, row| {
                        values
                            .push_bind(kind.as_str())
                            .push_bind(to_sql(row.prefix.0))
                            .push_bind(&row.subject)
                            .push_bind(&row.body)
                            .push_bind(now.as_microsecond());
                    });
                    query.push(
                        " ON CONFLICT (kind, prefix, subject)
                          DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at",
                    );
                    query.build().execute(&mut *transaction).await?;
                }
                Ok(transaction.commit().await?)
            }

            async fn forget(&self, prefixes: &[PrefixId]) -> Result<(), Error> {
                // Replay: deletes nothing more. Locks: each statement commits by itself; what an error leaves over is deleted by
                // the next call. Cost: a scan of the table, since its primary key begins with the kind.
                for chunk in prefixes.chunks(ROWS_PER_STATEMENT) {
                    let mut query =
                        QueryBuilder::<$database>::new("DELETE FROM observation WHERE prefix IN (");
                    let mut list = query.separated(", ");
                    for id in chunk {
                        list.push_bind(to_sql(id.0));
                    }
                    query.push(")");
                    query.build().execute(&self.pool).await?;
                }
                Ok(())
            }
        }
    };
}

impl_observations!(SqliteLedger, Sqlite, "BEGIN IMMEDIATE");
impl_observations!(PostgresLedger, Postgres, "BEGIN");
