//! Settling of writes whose outcome is unknown: NetBox's records decide.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::allocator::Allocator;
use super::error::Error;
use crate::cache::Batch;
use crate::ledger::{Intent, IntentKind, IntentState};
use crate::model::{Address, RequestId};
use crate::netbox;

/// How often NetBox is asked for the records of a write that got no answer, while it does not answer the question either.
const QUESTIONS: u32 = 4;

impl Allocator {
    /// Settles all pending intents, the oldest first, and returns how many there were. It runs before the first command and
    /// then on a timer.
    pub async fn settle(&self) -> Result<usize, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let pending = self.intents.pending().await?;
        let count = pending.len();
        for intent in pending {
            let intent = self.settle_one(intent).await?;
            tracing::info!(request = %intent.request, state = ?intent.state, "settled a pending intent");
        }
        self.settled.store(true, Ordering::Release);
        Ok(count)
    }

    /// Reads the records of an intent from NetBox and stores the outcome: done if NetBox has them, failed if it has none.
    pub(super) async fn settle_one(&self, mut intent: Intent) -> Result<Intent, Error> {
        intent.state = match intent.kind {
            IntentKind::Addresses | IntentKind::Assignment => {
                match self.recorded(&intent.request, intent.detail.wanted).await? {
                    Some(records) => {
                        intent.detail.made = records.iter().map(|record| record.id.0).collect();
                        self.publish(Batch::from(records)).await;
                        IntentState::Done
                    }
                    None => IntentState::Failed,
                }
            }
            IntentKind::Prefix => match self.client.prefix_by_allocation(&intent.request).await? {
                Some(prefix) => {
                    intent.detail.made = vec![prefix.id.0];
                    self.publish(Batch::from(vec![prefix])).await;
                    IntentState::Done
                }
                None => IntentState::Failed,
            },
            IntentKind::Release => {
                let ids: Vec<u64> = intent.detail.released.iter().map(|record| record.id.0).collect();
                let left: Vec<Address> = self.client.by_ids(&ids).await?;
                if left.is_empty() {
                    self.publish(Batch { deleted_addresses: ids, ..Batch::default() }).await;
                    IntentState::Done
                } else {
                    IntentState::Failed
                }
            }
        };
        self.intents.set(&intent.request, intent.state, &intent.detail, self.clock.now()).await?;
        Ok(intent)
    }

    /// The addresses of a request in NetBox, in the order of their index; `None` if there is none. NetBox writes a list
    /// completely or not at all, so that missing ones among others have been deleted since.
    pub(super) async fn recorded(
        &self,
        request: &RequestId,
        wanted: u32,
    ) -> Result<Option<Vec<Address>>, Error> {
        let found = self.client.addresses_by_allocation(request, wanted).await?;
        Ok((!found.is_empty()).then_some(found))
    }

    /// Like [`Allocator::recorded`], asked several times: what broke the write may break the question too.
    pub(super) async fn ask_record(
        &self,
        request: &RequestId,
        wanted: u32,
    ) -> Result<Option<Vec<Address>>, Error> {
        self.ask(|| self.recorded(request, wanted)).await
    }

    /// Asks a question of NetBox until it is answered, at most [`QUESTIONS`] times with growing pauses.
    pub(super) async fn ask<T, F>(&self, question: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut wait = Duration::from_millis(200);
        for _ in 1..QUESTIONS {
            match question().await {
                Err(Error::NetBox(error)) if may_pass(&error) => tokio::time::sleep(wait).await,
                other => return other,
            }
            wait *= 2;
        }
        question().await
    }
}

fn may_pass(error: &netbox::Error) -> bool {
    error.is_transient() || matches!(error, netbox::Error::Malformed { .. })
}
