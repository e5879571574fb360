//! The cache file's schema: the file of `sql/cache`, built in. `src/ledger/migrations.rs` says why this is not `sqlx::migrate!`.

use std::borrow::Cow;

use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Every migration, in order. The number and the description are those of the file's name.
pub(super) fn migrator() -> Migrator {
    let sql = SqlStr::from_static(include_str!("../../sql/cache/0001_cache.sql"));
    let no_transaction = false;
    Migrator::with_migrations(vec![Migration::new(
        1,
        Cow::Borrowed("cache"),
        MigrationType::Simple,
        sql,
        no_transaction,
    )])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn the_list_is_what_sqlx_reads_from_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/cache");
        let read = Migrator::new(folder).await.unwrap();
        let facts = |migrator: &Migrator| -> Vec<_> {
            migrator
                .iter()
                .map(|one| (one.version, one.description.to_string(), one.checksum.to_vec(), one.no_tx))
                .collect()
        };
        assert_eq!(facts(&migrator()), facts(&read));
        assert!(migrator().iter().all(|one| one.migration_type == MigrationType::Simple));
    }
}
