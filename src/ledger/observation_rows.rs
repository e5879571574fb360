//! Observations in SQLite and in PostgreSQL: one text of SQL for both.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Postgres, QueryBuilder, Row as _, Sqlite};

use super::database::{Error, PostgresLedger, SqliteLedger};
use super::journal::to_sql;
use super::observation::{Observation, ObservationKind, Observations};
use crate::model::PrefixId;

/// Rows of one statement: both databases bound the number of parameters.
const ROWS: usize = 500;

macro_rules! observations_over {
    ($ledger:ident, $database:ident, $begin:literal) => {
        #[async_trait]
        impl Observations for $ledger {
            async fn load(
                &self,
                kind: ObservationKind,
                prefix: Option<PrefixId>,
            ) -> Result<Vec<Observation>, Error> {
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
                            prefix: PrefixId(u64::try_from(id).unwrap_or_default()),
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
                rows.iter()
                    .map(|row| Ok(PrefixId(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default())))
                    .collect()
            }

            async fn put(
                &self,
                kind: ObservationKind,
                rows: &[Observation],
                now: Timestamp,
            ) -> Result<(), Error> {
                let mut transaction = self.pool.begin_with($begin).await?;
                for chunk in rows.chunks(ROWS) {
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
                for chunk in prefixes.chunks(ROWS) {
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

observations_over!(SqliteLedger, Sqlite, "BEGIN IMMEDIATE");
observations_over!(PostgresLedger, Postgres, "BEGIN");
