use jiff::tz::TimeZone;

use super::*;
use crate::clock::SystemClock;
use crate::model::{PrefixId, VrfScope};

struct Fixture {
    directory: tempfile::TempDir,
    clock: SystemClock,
    identity: StoreIdentity,
}

impl Fixture {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: SystemClock::new(TimeZone::UTC),
            identity: StoreIdentity("http://netbox.example/".to_owned()),
        }
    }

    /// Opens the file; the store is closed again, as by a stop of the server.
    async fn open(&self) -> (StoredCache, Opened) {
        let path = self.directory.path().join("cache.db");
        let (store, cache, opened) = Store::open(&path, &self.identity, &self.clock).await.unwrap();
        store.pool.close().await;
        (cache, opened)
    }

    /// Makes a file with one prefix in service, then runs a statement on it.
    async fn file_changed_by(&self, statement: &'static str) {
        let path = self.directory.path().join("cache.db");
        let (store, _, _) = Store::open(&path, &self.identity, &self.clock).await.unwrap();
        let network = "203.0.113.0/24".parse().unwrap();
        let prefix = Prefix::bare(PrefixId(1), network, VrfScope::Global);
        store.write(&[1], &Batch::from(vec![prefix]), None, None).await.unwrap();
        let position = Position { id: 0, time: None, request: String::new() };
        store.switch(1, &position, Timestamp::UNIX_EPOCH).await.unwrap();
        sqlx::query(statement).execute(&store.pool).await.unwrap();
        store.pool.close().await;
    }
}

#[tokio::test]
async fn a_file_that_can_be_trusted_is_loaded() {
    let fixture = Fixture::new();
    fixture.file_changed_by("SELECT 1").await;
    let (cache, opened) = fixture.open().await;
    assert_eq!(opened, Opened::Loaded);
    assert_eq!((cache.generation, cache.index.counts().prefixes), (Some(1), 1));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_or_trusted_is_set_aside_and_nothing_of_it_is_served() {
    for statement in [
        "UPDATE cache SET identity = replace(identity, 'format', 'another format')",
        "UPDATE record SET body = '{}'",
        "UPDATE cache SET position = 'garbage'",
        "DROP TABLE record",
        "DELETE FROM _sqlx_migrations",
        "UPDATE _sqlx_migrations SET checksum = x'00'",
        "INSERT INTO _sqlx_migrations VALUES (9999, 'of a newer version', '2027-01-01', true, x'00', 0)",
    ] {
        let fixture = Fixture::new();
        fixture.file_changed_by(statement).await;
        let (cache, opened) = fixture.open().await;
        let Opened::SetAside { to, .. } = opened else { panic!("{statement}: {opened:?}") };
        assert!(to.exists(), "{statement}");
        assert_eq!((cache.generation, cache.index.counts().prefixes), (None, 0), "{statement}");
        assert_eq!(fixture.open().await.1, Opened::Empty, "{statement}: a new file took its place");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_an_error_and_is_not_set_aside() {
    let fixture = Fixture::new();
    let path = fixture.directory.path().join("cache.db");
    std::fs::create_dir(&path).unwrap();
    let refused = Store::open(&path, &fixture.identity, &fixture.clock).await;
    assert!(matches!(refused, Err(Error::Database(_))));
    assert!(path.is_dir());
}
