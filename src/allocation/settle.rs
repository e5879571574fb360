//! What became of a write whose outcome is not known: the record decides.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::allocator::Allocator;
use super::error::Error;
use crate::cache::Batch;
use crate::ledger::{Intent, IntentKind, IntentState};
use crate::model::{Address, Prefix, RequestId};
use crate::netbox::{self, Field};

/// How often the record is asked after a write without an answer, while NetBox itself does not answer either.
const QUESTIONS: u32 = 4;

impl Allocator {
    /// Settles every intent that is pending, oldest first. Run before writes are served and from time to time after.
    pub async fn settle(&self) -> Result<usize, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let pending = self.ledger.pending().await?;
        let count = pending.len();
        for intent in pending {
            let intent = self.settle_one(intent).await?;
            tracing::info!(request = %intent.request, state = ?intent.state, "settled an open write");
        }
        self.settled.store(true, Ordering::Release);
        Ok(count)
    }

    /// Asks NetBox and records the answer: done if the records stand, failed if none does.
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
            IntentKind::Prefix => match self.recorded_prefix(&intent.request).await? {
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
                    self.publish(Batch { gone_addresses: ids, ..Batch::default() }).await;
                    IntentState::Done
                } else {
                    IntentState::Failed
                }
            }
        };
        self.ledger.set(&intent.request, intent.state, &intent.detail, self.clock.now()).await?;
        Ok(intent)
    }

    /// The records of a request in NetBox, in order of their index; `None` if there is none. A list is written all or none,
    /// so some without the others means that some have been deleted since.
    pub(super) async fn recorded(
        &self,
        request: &RequestId,
        wanted: u32,
    ) -> Result<Option<Vec<Address>>, Error> {
        let filter_name = format!("cf_{}", self.client.fields().name(Field::AllocationId));
        let indexes: Vec<u32> = (0..wanted).collect();
        let mut found: Vec<Address> = Vec::new();
        for chunk in indexes.chunks(50) {
            let filter: Vec<(&str, String)> = chunk
                .iter()
                .map(|index| (filter_name.as_str(), request.allocation(*index).to_string()))
                .collect();
            let rows: Vec<Address> = self.client.find(&filter).await?;
            let ours = |row: &Address| row.allocation.as_ref().is_some_and(|id| id.request == *request);
            found.extend(rows.into_iter().filter(ours));
        }
        found.sort_by_key(|record| (record.allocation.as_ref().map(|id| id.index), record.id));
        found.dedup_by_key(|record| record.id);
        Ok((!found.is_empty()).then_some(found))
    }

    /// The prefix of a request in NetBox.
    pub(super) async fn recorded_prefix(&self, request: &RequestId) -> Result<Option<Prefix>, Error> {
        let filter_name = format!("cf_{}", self.client.fields().name(Field::AllocationId));
        let rows: Vec<Prefix> =
            self.client.find(&[(filter_name.as_str(), request.allocation(0).to_string())]).await?;
        let ours = |row: &Prefix| row.allocation.as_ref().is_some_and(|id| id.request == *request);
        Ok(rows.into_iter().find(ours))
    }

    /// Asks the record a few times, since what cut the write short may cut the question short too.
    pub(super) async fn ask_record(
        &self,
        request: &RequestId,
        wanted: u32,
    ) -> Result<Option<Vec<Address>>, Error> {
        self.ask(|| self.recorded(request, wanted)).await
    }

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
