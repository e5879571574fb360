//! The ledger: one suite over both implementations.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use leasehold::ledger::{
    self, Begun, Detail, Fingerprint, Intent, IntentKind, IntentState, Ledger, LedgerSettings, ListIntents,
};
use leasehold::model::PrefixId;

use crate::support::{directory, peers};

fn intent(name: &str, nth: i64) -> Intent {
    let at = Timestamp::from_second(1_800_000_000).unwrap() + nth.seconds();
    Intent {
        request: format!("{name}-{nth}").parse().unwrap(),
        kind: IntentKind::Addresses,
        fingerprint: Fingerprint::of(&nth),
        state: IntentState::Pending,
        parent: Some(PrefixId(7)),
        detail: Detail { wanted: 3, ..Detail::default() },
        created: at,
        updated: at,
    }
}

async fn suite(ledger: Arc<dyn Ledger>) {
    let name = uuid::Uuid::new_v4().simple().to_string();
    let first = intent(&name, 0);
    assert_eq!(ledger.get(&first.request).await.unwrap(), None);
    assert_eq!(ledger.begin(&first).await.unwrap(), Begun::New);
    assert_eq!(ledger.begin(&first).await.unwrap(), Begun::Before(Box::new(first.clone())));

    // Of many that begin the same one at once, one does.
    let rival = intent(&name, 1);
    let tries = (0..16).map(|_| ledger.begin(&rival));
    let begun = futures::future::join_all(tries).await;
    assert_eq!(begun.into_iter().filter(|begun| matches!(begun, Ok(Begun::New))).count(), 1);

    let pending: Vec<String> =
        ledger.pending().await.unwrap().iter().map(|intent| intent.request.to_string()).collect();
    assert!(pending.contains(&first.request.to_string()));
    let detail = Detail { wanted: 3, made: vec![4, 5, 6], ..Detail::default() };
    let later = first.created + 1.minute();
    ledger.set(&first.request, IntentState::Done, &detail, later).await.unwrap();
    let done = ledger.get(&first.request).await.unwrap().unwrap();
    assert_eq!((done.state, &done.detail, done.updated), (IntentState::Done, &detail, later));
    let ours = |intent: &Intent| intent.request == first.request;
    assert!(!ledger.pending().await.unwrap().iter().any(ours));

    // The newest first, a page at a time, by state and by parent; releases are no allocations.
    for nth in 2..7 {
        ledger.begin(&Intent { parent: Some(PrefixId(900)), ..intent(&name, nth) }).await.unwrap();
    }
    ledger
        .begin(&Intent { kind: IntentKind::Release, parent: Some(PrefixId(900)), ..intent(&name, 7) })
        .await
        .unwrap();
    let mut wanted = ListIntents { parent: Some(PrefixId(900)), limit: 2, ..ListIntents::default() };
    let mut seen = Vec::new();
    loop {
        let page = ledger.list(&wanted).await.unwrap();
        let Some(last) = page.last() else { break };
        wanted.after = Some((last.created, last.request.clone()));
        seen.extend(
            page.iter()
                .filter(|intent| intent.request.as_str().starts_with(&name))
                .map(|intent| intent.request.to_string()),
        );
    }
    let expected: Vec<String> = (2..7).rev().map(|nth| format!("{name}-{nth}")).collect();
    assert_eq!(seen, expected);
    let done = ListIntents { state: Some(IntentState::Done), limit: 1000, ..ListIntents::default() };
    assert!(ledger.list(&done).await.unwrap().iter().all(|intent| intent.state == IntentState::Done));
}

#[tokio::test]
async fn sqlite_keeps_intents() {
    let (_guard, path) = directory();
    let settings = LedgerSettings::Sqlite(path.join("ledger.db"));
    suite(ledger::open(&settings).await.unwrap().intents).await;
    // What was written is there for the next server.
    let again = ledger::open(&settings).await.unwrap();
    assert!(!again.intents.pending().await.unwrap().is_empty());
}

#[tokio::test]
async fn postgres_keeps_intents() {
    let name = "ledger::postgres_keeps_intents";
    let Some(url) = peers::variable(name, "LEASEHOLD_TEST_POSTGRES_URL", "a real PostgreSQL") else { return };
    let settings = LedgerSettings::Postgres(secrecy::SecretString::from(url));
    suite(ledger::open(&settings).await.unwrap().intents).await;
}
