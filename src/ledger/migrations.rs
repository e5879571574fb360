//! The ledger's schema: the files of `sql/ledger`, built in.
//!
//! A list and not `sqlx::migrate!`: that macro brings both databases and their TLS into the build a second time, compiled for
//! the compiler itself. A migration that has landed is never edited, because sqlx compares the checksum of its text with the one
//! that the database has stored.

use std::borrow::Cow;

use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Every migration, in order. The numbers and descriptions are those of the files' names.
pub(super) fn migrator() -> Migrator {
    Migrator::with_migrations(vec![
        migration(1, "intent", include_str!("../../sql/ledger/0001_intent.sql")),
        migration(2, "event", include_str!("../../sql/ledger/0002_event.sql")),
        migration(3, "delivery", include_str!("../../sql/ledger/0003_delivery.sql")),
        migration(4, "observation", include_str!("../../sql/ledger/0004_observation.sql")),
        migration(5, "plain names", include_str!("../../sql/ledger/0005_plain_names.sql")),
        migration(6, "lists", include_str!("../../sql/ledger/0006_lists.sql")),
        migration(7, "write protocol", include_str!("../../sql/ledger/0007_write_protocol.sql")),
        migration(8, "job lease", include_str!("../../sql/ledger/0008_job_lease.sql")),
        migration(9, "pool", include_str!("../../sql/ledger/0009_pool.sql")),
    ])
}

fn migration(version: i64, description: &'static str, sql: &'static str) -> Migration {
    let no_transaction = false;
    Migration::new(
        version,
        Cow::Borrowed(description),
        MigrationType::Simple,
        SqlStr::from_static(sql),
        no_transaction,
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Everything that sqlx stores or acts on.
    fn facts(migrator: &Migrator) -> Vec<(i64, String, MigrationType, String, Vec<u8>, bool)> {
        migrator
            .iter()
            .map(|one| {
                let sql = one.sql.as_str().to_owned();
                (
                    one.version,
                    one.description.to_string(),
                    one.migration_type,
                    sql,
                    one.checksum.to_vec(),
                    one.no_tx,
                )
            })
            .collect()
    }

    #[tokio::test]
    async fn the_list_is_what_sqlx_reads_from_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/ledger");
        let read = Migrator::new(folder).await.unwrap();
        assert_eq!(facts(&migrator()), facts(&read));
    }
}
