//! The write protocol, as a pure state machine: what is known of one write, and what may become known next.
//!
//! Each state is a type, and each of its methods takes something that was observed and gives the states that can follow. So a
//! step that the protocol forbids cannot be written down: from [`Written`] nothing leads to a refusal, and [`MaybeWritten`]
//! becomes refused only if NetBox said so itself while no earlier request was without an answer. No method does I/O, reads a clock or waits; the
//! executor observes, and does what the state asks for.
//!
//! ```text
//!             planned                created                  clean              recorded
//!  NotSent ------------> MaybeWritten -------> Written ---------------> Verified --------> Done
//!   ^  |  ^                |  ^  |               |  ^
//!   |  |  |   contended,   |  |  | refused       |  | found by asking
//!   |  |  +----------------+  |  +--> Refused    |  +------ MaybeWritten
//!   |  +--> Refused   unclear |                  | rival, child or covering prefix
//!   |                 (ask)   |                  v
//!   +-------------------------+--- deleted ----- Withdrawing ----------> Withdrawn
//!
//!  Unsettled: from every state in which NetBox may hold records and cannot say so now.
//! ```

use std::time::Duration;

use jiff::Timestamp;

/// How often a write is planned anew, or sent again, before it is given up.
pub const ATTEMPTS: u32 = 6;

/// What all states carry along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Requests that were sent by this run.
    pub sent: u32,
    /// When the latest request was sent that was never answered. It may still reach NetBox until NetBox's request limit has
    /// passed; until then "nothing of it is in NetBox" is never said.
    pub unanswered: Option<Timestamp>,
}

/// What happens if the same write is sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repetition {
    /// NetBox carries out one of the two at most: the ids of the records are unique there, or the version that was read must
    /// still stand, or there is nothing left to delete.
    Harmless,
    /// NetBox may carry out both. Nothing is sent again while an earlier request may be under way.
    Doubles,
}

/// Nothing was sent, or everything that was sent has come to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotSent(Progress);

/// A request was sent. NetBox may have carried it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaybeWritten {
    progress: Progress,
    /// Whether NetBox has answered the latest request, whatever the answer.
    answered: Answered,
}

/// Whether the latest request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    /// NetBox said that it failed. The record tells whether that is so.
    Failed,
    NotYet,
}

/// NetBox holds the records, and what NetBox does not check itself is still to be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written(Progress);

/// Somebody else's record stands against ours, and ours are being deleted. Once this has begun the records are never kept: a
/// deletion that was not answered may still arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawing(Progress);

/// NetBox holds the records, and nothing speaks against them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified(Progress);

/// Where the protocol ends, for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The records are proven deleted: anybody else's came first.
    Withdrawn(Progress),
    /// NetBox or a rule of ours refused, and nothing is in NetBox.
    Refused(Progress),
    /// NetBox may hold records. A repeated request, or recovery, goes on from here.
    Unsettled(Progress),
}

/// What a request to NetBox has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetBoxReply {
    /// NetBox wrote everything.
    Created,
    /// NetBox refused because of another record, or because the record is not the one that was read: plan anew.
    Contended,
    /// NetBox refused because a record with these allocation ids exists: ask for it.
    Exists,
    /// NetBox refused for good and says why, or was not reached at all.
    Refused,
    /// NetBox failed, and says so. The request is over; the record tells whether it was carried out.
    Failed,
    /// No answer, or none that can be understood.
    Unclear,
}

/// What asking for the record has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    All,
    /// NetBox holds nothing of the write.
    Nothing,
    /// NetBox does not tell: it cannot be reached, or the record does not decide.
    Unknown,
}

/// What verification has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    Clean,
    /// Somebody else's record stands against ours.
    Objection,
    /// NetBox could not be read.
    Unread,
}

/// What deleting our records has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// NetBox was asked, and holds none of them.
    Proven,
    Unproven,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterAnswer {
    Verify(Written),
    Ask(MaybeWritten),
    PlanAnew(NotSent),
    End(End),
}

/// What follows a question for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterQuestion {
    Verify(Written),
    Plan(NotSent),
    End(End),
}

/// What follows verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterVerification {
    Record(Verified),
    Withdraw(Withdrawing),
    /// The records stand, unverified. Recovery verifies them.
    End(End),
}

/// What follows a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterWithdrawal {
    PlanAnew(NotSent),
    End(End),
}

impl NotSent {
    /// A write of which nothing was ever sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// A plan was made, and is about to be sent at this time.
    pub fn sent(self, now: Timestamp) -> MaybeWritten {
        let sent = self.0.sent.saturating_add(1);
        // The request counts as unanswered until its answer is here: a crash in between leaves it so.
        let unanswered = Some(self.0.unanswered.map_or(now, |earlier| earlier.max(now)));
        MaybeWritten { progress: Progress { sent, unanswered }, answered: Answered::NotYet }
    }

    /// The records stand although nothing is to be sent: a ledger that was lost had answered with them, or the change log shows
    /// that a request was carried out after all. They are not verified again, since what others wrote since then was written
    /// beside them.
    pub fn found(self) -> Verified {
        Verified(self.0)
    }

    /// The plan was refused: there is no space, or a rule says no.
    pub fn refused(self) -> End {
        self.0.refused()
    }

    /// Whether it may be planned anew once more.
    pub fn may_try(self) -> bool {
        self.0.sent < ATTEMPTS
    }

    /// The end, after too many attempts.
    pub fn given_up(self) -> End {
        match self.0.unanswered {
            Some(_) => End::Unsettled(self.0),
            None => End::Withdrawn(self.0),
        }
    }

    /// What is known.
    pub fn progress(self) -> Progress {
        self.0
    }
}

impl MaybeWritten {
    /// A write that an earlier run left open, with the time of its latest request that is unanswered.
    pub fn resumed(unanswered: Option<Timestamp>) -> Self {
        let answered = if unanswered.is_some() { Answered::NotYet } else { Answered::Failed };
        Self { progress: Progress { sent: 0, unanswered }, answered }
    }

    /// NetBox has answered the request, or has not. `before` is what was unanswered before this request was sent.
    pub fn answered(self, answer: NetBoxReply, before: Option<Timestamp>) -> AfterAnswer {
        let sent = self.progress.sent;
        let over = Progress { sent, unanswered: before };
        match answer {
            NetBoxReply::Created => AfterAnswer::Verify(Written(over)),
            NetBoxReply::Contended if sent < ATTEMPTS => AfterAnswer::PlanAnew(NotSent(over)),
            NetBoxReply::Contended => AfterAnswer::End(NotSent(over).given_up()),
            NetBoxReply::Refused => AfterAnswer::End(over.refused()),
            NetBoxReply::Exists | NetBoxReply::Failed => {
                AfterAnswer::Ask(Self { progress: over, answered: Answered::Failed })
            }
            NetBoxReply::Unclear => AfterAnswer::Ask(self),
        }
    }

    /// NetBox was asked for the record. `now` is a time before the question was sent.
    pub fn asked(
        self,
        found: Found,
        repetition: Repetition,
        now: Timestamp,
        limit: Duration,
    ) -> AfterQuestion {
        let progress = self.progress;
        let over = progress.is_over(now, limit);
        let may_repeat = repetition == Repetition::Harmless && progress.sent < ATTEMPTS;
        match (found, self.answered) {
            // Of a write that would double, at most one request is ever open: this is its record.
            (Found::All, _) if repetition == Repetition::Doubles => {
                AfterQuestion::Verify(Written(Progress { unanswered: None, ..progress }))
            }
            (Found::All, _) => AfterQuestion::Verify(Written(progress)),
            // The latest request is over, and has left nothing.
            (Found::Nothing, Answered::Failed) if progress.sent > 0 => AfterQuestion::End(progress.refused()),
            (Found::Nothing, _) if over || may_repeat => {
                let unanswered = progress.unanswered.filter(|_| !over);
                AfterQuestion::Plan(NotSent(Progress { unanswered, ..progress }))
            }
            (Found::Nothing | Found::Unknown, _) => AfterQuestion::End(End::Unsettled(progress)),
        }
    }

    /// What is known.
    pub fn progress(self) -> Progress {
        self.progress
    }
}

impl Written {
    /// What NetBox does not check itself was verified.
    pub fn verified(self, verdict: Verification) -> AfterVerification {
        match verdict {
            Verification::Clean => AfterVerification::Record(Verified(self.0)),
            Verification::Objection => AfterVerification::Withdraw(Withdrawing(self.0)),
            Verification::Unread => AfterVerification::End(End::Unsettled(self.0)),
        }
    }

    /// What is known.
    pub fn progress(self) -> Progress {
        self.0
    }
}

impl Withdrawing {
    /// A withdrawal that an earlier run left open. The record is asked after this.
    pub fn resumed(unanswered: Option<Timestamp>, now: Timestamp, limit: Duration) -> Self {
        let progress = Progress { sent: 0, unanswered };
        let unanswered = unanswered.filter(|_| !progress.is_over(now, limit));
        Self(Progress { unanswered, ..progress })
    }

    /// Our records were deleted, or not.
    pub fn deleted(self, deletion: Deletion) -> AfterWithdrawal {
        match deletion {
            Deletion::Proven if self.0.sent < ATTEMPTS => AfterWithdrawal::PlanAnew(NotSent(self.0)),
            Deletion::Proven => AfterWithdrawal::End(NotSent(self.0).given_up()),
            Deletion::Unproven => AfterWithdrawal::End(End::Unsettled(self.0)),
        }
    }

    /// What is known.
    pub fn progress(self) -> Progress {
        self.0
    }
}

impl Verified {
    /// What is known.
    pub fn progress(self) -> Progress {
        self.0
    }

    /// The ledger could not take the outcome. The records stand.
    pub fn not_recorded(self) -> End {
        End::Unsettled(self.0)
    }
}

impl End {
    /// What is known.
    pub fn progress(self) -> Progress {
        match self {
            Self::Withdrawn(progress) | Self::Refused(progress) | Self::Unsettled(progress) => progress,
        }
    }
}

impl Progress {
    /// Whether no request can be under way any more.
    fn is_over(self, now: Timestamp, limit: Duration) -> bool {
        self.unanswered.is_none_or(|sent| sent.checked_add(limit).is_ok_and(|over| over <= now))
    }

    /// Refused, unless an earlier request may still be carried out.
    fn refused(self) -> End {
        match self.unanswered {
            Some(_) => End::Unsettled(self),
            None => End::Refused(self),
        }
    }
}

#[cfg(test)]
mod tests;
