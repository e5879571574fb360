//! The steps that every command shares: its intent is stored before NetBox is asked to write, and settled before the answer.

use std::sync::Arc;

use super::allocator::Allocator;
use super::error::Error;
use crate::cache::Batch;
use crate::ledger::{Begun, Detail, Fingerprint, Intent, IntentKind, IntentState};
use crate::model::{Address, Prefix, RequestId};

/// What a command has to do, given what the ledger knows of its request id.
pub(super) enum Start {
    /// Carry it out: the intent with this detail is stored as pending. `uncertain` means that a write of an earlier attempt may
    /// still reach NetBox, so that no later refusal proves that NetBox holds nothing.
    Proceed { detail: Detail, uncertain: bool },
    /// Answer again what was answered before.
    Repeat(Box<Intent>),
}

impl Allocator {
    /// What to do about a request id that the ledger has an intent for; `None` for a new one.
    pub(super) async fn known(
        &self,
        request: &RequestId,
        kind: IntentKind,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Start>, Error> {
        if !self.is_settled() {
            return Err(Error::Settling);
        }
        match self.intents.get(request).await? {
            None => Ok(None),
            Some(intent) => self.resume(intent, kind, fingerprint).await.map(Some),
        }
    }

    /// Stores a new intent as pending.
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
        match self.intents.begin(&intent).await? {
            Begun::New => Ok(Start::Proceed { detail: intent.detail, uncertain: false }),
            // Another replica stored an intent with this id since `known` looked.
            Begun::Before(before) => self.resume(*before, kind, &intent.fingerprint).await,
        }
    }

    async fn resume(
        &self,
        intent: Intent,
        kind: IntentKind,
        fingerprint: &Fingerprint,
    ) -> Result<Start, Error> {
        let version = intent.fingerprint.version();
        if intent.kind == kind && version != fingerprint.version() {
            return Err(Error::FingerprintVersion { request: intent.request, version });
        }
        if intent.kind != kind || intent.fingerprint != *fingerprint {
            return Err(Error::RequestIdReused { request: intent.request });
        }
        match intent.state {
            IntentState::Done => Ok(Start::Repeat(Box::new(intent))),
            IntentState::Failed => {
                self.intents
                    .set(&intent.request, IntentState::Pending, &intent.detail, self.clock.now())
                    .await?;
                Ok(Start::Proceed { detail: intent.detail, uncertain: false })
            }
            IntentState::Pending => match self.settle_one(intent).await? {
                intent if intent.state == IntentState::Done => Ok(Start::Repeat(Box::new(intent))),
                intent => {
                    self.intents
                        .set(&intent.request, IntentState::Pending, &intent.detail, self.clock.now())
                        .await?;
                    Ok(Start::Proceed { detail: intent.detail, uncertain: true })
                }
            },
        }
    }

    /// Puts the written records into the cache and settles the intent: as done, or as failed if the write failed.
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
                self.intents.set(request, IntentState::Done, &detail, self.clock.now()).await?;
                Ok(records.into_iter().map(Arc::new).collect())
            }
            Err(error) => Err(self.give_up(request, &detail, error).await),
        }
    }

    /// Puts records that NetBox holds into the cache. If that fails the error is logged only: the allocation is in NetBox, and
    /// the cache gets the records with the next poll of NetBox's change log.
    pub(super) async fn publish(&self, batch: Batch) {
        if let Err(error) = self.cache.apply(batch).await {
            tracing::error!(%error, "records that NetBox holds could not be put into the cache");
        }
    }

    /// Stores the intent of a command that failed as failed, unless NetBox may hold its records.
    pub(super) async fn give_up(&self, request: &RequestId, detail: &Detail, error: Error) -> Error {
        if matches!(error, Error::Unsettled { .. }) {
            return error;
        }
        match self.intents.set(request, IntentState::Failed, detail, self.clock.now()).await {
            Ok(()) => error,
            Err(ledger) => {
                tracing::error!(%request, %ledger, "an intent could not be stored as failed and stays pending");
                error
            }
        }
    }

    /// The error of a command that is refused before it writes: the refusal, or that an earlier attempt is not settled.
    pub(super) async fn refused(&self, known: Option<Start>, request: &RequestId, error: Error) -> Error {
        match known {
            Some(Start::Proceed { detail, uncertain }) => {
                let error = Self::unless_uncertain(uncertain, request, error);
                self.give_up(request, &detail, error).await
            }
            Some(Start::Repeat(_)) | None => error,
        }
    }

    /// The error itself, or [`Error::Unsettled`] while an earlier write may still reach NetBox.
    pub(super) fn unless_uncertain(uncertain: bool, request: &RequestId, error: Error) -> Error {
        if uncertain { Error::Unsettled { request: request.clone() } } else { error }
    }
}
