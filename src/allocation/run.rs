//! One run of a command: where it stands, and what belongs to that.

use std::sync::Arc;

use super::error::Error;
use super::in_flight::Flight;
use super::operation::Finished;
use super::ports::{WriteOrigin, WrittenRecords};
use super::protocol::{End, MaybeWritten, NotSent, Repetition, Verified, Withdrawing, Written};
use super::queue::Caller;
use crate::ledger::Intent;
use crate::model::PrefixId;

/// Where a run stands: a state of the protocol with the records that belong to it.
pub(super) enum Phase {
    Plan(NotSent),
    Ask(MaybeWritten, Repetition),
    Verify(Written, WrittenRecords),
    Withdraw(Withdrawing, WrittenRecords),
    /// A withdrawal of an earlier run: which records are left?
    ResumeWithdrawal(Withdrawing),
    Record(Verified, WrittenRecords),
    End(End),
}

/// What the ledger knows of a request id at the beginning of a run.
pub(super) enum TakenUp {
    New,
    /// The intent is ours now; the record is asked first.
    Resumed(Box<Intent>),
    Done(Box<Intent>),
}

/// A run of one command.
pub(super) struct Run<'a, O> {
    pub(super) operation: &'a O,
    pub(super) origin: WriteOrigin,
    pub(super) caller: Arc<Caller<()>>,
    /// The space that the run is about to take.
    pub(super) flight: Flight,
    /// The intent as it is in the ledger; `None` before it is stored.
    pub(super) intent: Option<Intent>,
    /// Parents that are left to other writers.
    pub(super) exhausted: Vec<PrefixId>,
    /// The parent of each race that was lost.
    pub(super) races: Vec<PrefixId>,
    /// Why the last attempt came to nothing.
    pub(super) last: Option<Error>,
    pub(super) reservation_tries: u32,
    /// Whether the cache was brought up to date because a plan found no space.
    pub(super) caught_up: bool,
    /// Whether a write was begun by an earlier run or another server, so that the answer is a repeated one.
    pub(super) repeated: bool,
}

/// What planning has come to.
pub(super) enum Planning {
    Next(Phase),
    /// Nothing was to be written, and the ledger has that.
    Done(Box<Finished>),
}

/// Whether the ledger took an intent.
pub(super) enum Stored {
    Yes,
    /// Another write has reserved a part of the range.
    Reserved,
    /// Another server holds the intent.
    HeldByAnother,
}
