//! The one path of every write: the intent made durable before, settled after.

use std::sync::Arc;

use super::allocator::Allocator;
use super::error::Error;
use crate::cache::Batch;
use crate::ledger::{Begun, Detail, Fingerprint, Intent, IntentKind, IntentState};
use crate::model::{Address, Prefix, RequestId};

/// Where a write stands when it is taken up.
pub(super) enum Start {
    /// Carry it out. `detail` is durable; `uncertain` if an earlier try may still land.
    Proceed { detail: Detail, uncertain: bool },
    /// It was done before.
    Repeat(Box<Intent>),
}

impl Allocator {
    /// Where a request stands that was seen before; `None` for a new one.
    pub(super) async fn known(
        &self,
        request: &RequestId,
        kind: IntentKind,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Start>, Error> {
        if !self.is_settled() {
            return Err(Error::Settling);
        }
        match self.ledger.get(request).await? {
            None => Ok(None),
            Some(intent) => self.resume(intent, kind, fingerprint).await.map(Some),
        }
    }

    /// Makes the intent durable.
    pub(super) async fn begin(
        &self,
        request: &RequestId,
        kind: IntentKind,
        fingerprint: Fingerprint,
        parent: Option<&Arc<Prefix>>,
        detail: Detail,
    ) -> Result<Start, Error> {
        let now = self.clock.now();
        let intent = Intent {
            request: request.clone(),
            kind,
            fingerprint,
            state: IntentState::Pending,
            parent: parent.map(|parent| parent.id),
            detail,
            created: now,
            updated: now,
        };
        match self.ledger.begin(&intent).await? {
            Begun::New => Ok(Start::Proceed { detail: intent.detail, uncertain: false }),
            // Another replica was quicker by a moment.
            Begun::Before(before) => self.resume(*before, kind, &intent.fingerprint).await,
        }
    }

    async fn resume(
        &self,
        intent: Intent,
        kind: IntentKind,
        fingerprint: &Fingerprint,
    ) -> Result<Start, Error> {
        if intent.kind != kind || intent.fingerprint != *fingerprint {
            return Err(Error::RequestIdReused { request: intent.request });
        }
        match intent.state {
            IntentState::Done => Ok(Start::Repeat(Box::new(intent))),
            IntentState::Failed => {
                self.ledger
                    .set(&intent.request, IntentState::Pending, &intent.detail, self.clock.now())
                    .await?;
                Ok(Start::Proceed { detail: intent.detail, uncertain: false })
            }
            IntentState::Pending => match self.settle_one(intent).await? {
                intent if intent.state == IntentState::Done => Ok(Start::Repeat(Box::new(intent))),
                intent => {
                    self.ledger
                        .set(&intent.request, IntentState::Pending, &intent.detail, self.clock.now())
                        .await?;
                    Ok(Start::Proceed { detail: intent.detail, uncertain: true })
                }
            },
        }
    }

    /// Puts what was written into the cache and settles the intent: after this the answer may leave.
    pub(super) async fn conclude(
        &self,
        request: &RequestId,
        mut detail: Detail,
        written: Result<Vec<Address>, Error>,
    ) -> Result<Vec<Arc<Address>>, Error> {
        match written {
            Ok(mut records) => {
                records.sort_by_key(|record| record.allocation.as_ref().map(|id| id.index));
                detail.made = records.iter().map(|record| record.id.0).collect();
                self.publish(Batch::from(records.clone())).await;
                self.ledger.set(request, IntentState::Done, &detail, self.clock.now()).await?;
                Ok(records.into_iter().map(Arc::new).collect())
            }
            Err(error) => Err(self.give_up(request, &detail, error).await),
        }
    }

    /// Readers see it when this returns; a cache that cannot be written is told and does not undo an allocation.
    pub(super) async fn publish(&self, batch: Batch) {
        if let Err(error) = self.cache.apply(batch).await {
            // Without its event (the ledger is away) readers do not see it either; NetBox's change log brings both.
            tracing::error!(%error, "what NetBox holds now is not kept here yet");
        }
    }

    /// Settles an intent that came to nothing, unless its outcome is not known.
    pub(super) async fn give_up(&self, request: &RequestId, detail: &Detail, error: Error) -> Error {
        if matches!(error, Error::Unsettled { .. }) {
            return error;
        }
        match self.ledger.set(request, IntentState::Failed, detail, self.clock.now()).await {
            Ok(()) => error,
            Err(ledger) => {
                tracing::error!(%request, %ledger, "an intent stays pending");
                error
            }
        }
    }

    /// What a refusal before the write means: for a new request itself; for one that was begun before, what is not known of its
    /// outcome goes first.
    pub(super) async fn refused(&self, known: Option<Start>, request: &RequestId, error: Error) -> Error {
        match known {
            Some(Start::Proceed { detail, uncertain }) => {
                let error = Self::unless_uncertain(uncertain, request, error);
                self.give_up(request, &detail, error).await
            }
            Some(Start::Repeat(_)) | None => error,
        }
    }

    pub(super) fn unless_uncertain(uncertain: bool, request: &RequestId, error: Error) -> Error {
        if uncertain { Error::Unsettled { request: request.clone() } } else { error }
    }
}
