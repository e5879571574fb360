//! What the executor asks of a command. The answers are pure; each command gives them in a file of its own under `operations`.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::civil::Date;

use super::commands::ParentSelector;
use super::error::Error;
use super::plan::requirement::{self, PolicyContext, SpaceNeeded};
use super::plan::{Limits, Policy, Purpose, Quarantined};
use super::ports::{LoggedWrite, Write, WrittenRecords};
use super::protocol::Repetition;
use super::queue::Turn;
use crate::cache::{Index, PrefixKey};
use crate::ledger::{Detail, Fingerprint, Intent, IntentKind, Reservation, ReservedRange};
use crate::model::{Address, Network, Prefix, PrefixId, RequestId, VrfScope};

/// What a plan is made from.
pub(super) struct PlanContext<'a> {
    pub(super) index: &'a Index,
    pub(super) quarantined: &'a Quarantined,
    /// Ranges that other writes have reserved. They count as taken.
    pub(super) reserved: &'a [ReservedRange],
    pub(super) policy: &'a Policy,
    pub(super) today: Date,
    pub(super) only_populated_ranges: bool,
    /// What an earlier run has stored of a release; its records are in `prepared`.
    pub(super) stored: Option<&'a Detail>,
    /// Parents of which races were lost in this run. A command that names its parent does not mind.
    pub(super) exhausted: &'a [PrefixId],
    /// What preparation has read.
    pub(super) prepared: &'a Prepared,
}

impl<'a> PlanContext<'a> {
    /// What must not be taken, for a command that excludes nothing itself.
    pub(super) fn limits(&self) -> Limits<'a> {
        Limits {
            reserved: self.reserved,
            ..Limits::of_everybody(self.quarantined, self.only_populated_ranges)
        }
    }

    /// The prefix that a command selects, if the policy allows to allocate from it.
    pub(super) fn parent(
        &self,
        selector: &ParentSelector,
        needed: SpaceNeeded,
        limits: Limits<'_>,
        purpose: Purpose,
    ) -> Result<Arc<Prefix>, Error> {
        let context = PolicyContext { policy: self.policy, purpose, today: self.today };
        let key = match selector {
            ParentSelector::Any(requirement) => {
                return requirement::choose(self.index, requirement, needed, limits, context, self.exhausted)
                    .map_err(|why| Error::NothingFits { why });
            }
            ParentSelector::Id(id) => PrefixKey::Id(*id),
            ParentSelector::Prefix(scope, network) => PrefixKey::Network(*scope, *network),
        };
        let parent = self.index.resolve(key)?.clone();
        let refused = self.policy.refusals(self.index, &parent, purpose, self.today);
        if refused.is_empty() { Ok(parent) } else { Err(Error::Refused { network: parent.network, refused }) }
    }
}

/// What is read before the plan is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preparation<'a> {
    /// The cache is enough.
    None,
    /// The cache is brought up to date with NetBox's change log.
    CatchUp,
    /// The records of this network are read into the cache, which is brought up to date too.
    ReadNetwork(VrfScope, Network),
    /// The records of these addresses are read into the cache.
    ReadAddresses(VrfScope, &'a [IpAddr]),
    /// The records of this allocation are read.
    ReadAllocation(&'a RequestId),
}

/// What preparation has read.
#[derive(Clone, Debug, Default)]
pub(super) struct Prepared {
    /// The intent of the allocation that is to be released; `None` if the ledger does not know it.
    pub(super) target: Option<Intent>,
    /// The addresses of that allocation as NetBox has them now, found by the ids in the ledger and by their allocation ids; of a
    /// release that is resumed, the addresses that it has still to delete.
    pub(super) target_records: Vec<Address>,
}

/// What a command has to do.
pub(super) enum Plan {
    /// The record is as the command wants it.
    Nothing(Box<Planned>),
    Write(Box<Planned>, Box<Write>),
}

impl Plan {
    pub(super) fn write(planned: Planned, write: Write) -> Self {
        Self::Write(Box::new(planned), Box::new(write))
    }
}

/// What the ledger keeps of a plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Planned {
    pub(super) parent: Option<PrefixId>,
    /// The space that no other write may take meanwhile.
    pub(super) reserve: Vec<Reservation>,
    pub(super) detail: Detail,
}

/// Records that carry the request id although the ledger has no intent of it: another ledger began it, or this one was lost.
pub(super) enum Traces {
    Records(WrittenRecords),
    Logged(LoggedWrite),
}

/// A command, as the executor carries it out.
pub(super) trait Operation: Send + Sync + 'static {
    /// What the caller gets.
    type Done: Send + 'static;

    fn request(&self) -> &RequestId;

    fn kind(&self) -> IntentKind;

    /// The method of the API.
    fn method(&self) -> &'static str;

    fn fingerprint(&self) -> Fingerprint;

    /// The number of records that the command makes.
    fn count(&self) -> u32 {
        1
    }

    /// The scope in whose queue the command waits.
    fn lane(&self, index: &Index) -> VrfScope;

    /// Beside which other commands of its lane it is carried out.
    fn turn(&self) -> Turn {
        Turn::Alone
    }

    fn preparation(&self) -> Preparation<'_> {
        Preparation::None
    }

    /// What is read once the space is reserved, before anything is sent; the plan is then made again, and has to hold still. For
    /// commands that rest on a space being empty: an address that was reserved, recorded and settled between their first look and
    /// their own reservation is in no reservation any more, and nothing is verified after their write.
    fn second_look(&self) -> Preparation<'_> {
        Preparation::None
    }

    /// What to write. A refusal means that nothing has to be written, or that nothing may be.
    fn plan(&self, context: &PlanContext<'_>) -> Result<Plan, Error>;

    /// What the ledger would have kept if traces in NetBox are those of this command; `None` if they are of another one.
    fn adopt(&self, index: &Index, traces: &Traces) -> Option<Planned>;

    /// The answer, from what the ledger keeps and the records that were made, as they are now.
    fn outcome(&self, index: &Index, done: Finished) -> Result<Self::Done, Error>;
}

/// A command that is done.
pub(super) struct Finished {
    pub(super) parent: Option<PrefixId>,
    pub(super) detail: Detail,
    /// The records that the command made, as they are now; `Deleted` for commands that answer from `detail`.
    pub(super) records: WrittenRecords,
    /// Whether an earlier call with the same request id did it.
    pub(super) repeated: bool,
}

/// What happens if a write is sent again.
pub(super) fn repetition(write: &Write, refuses_stale_changes: bool) -> Repetition {
    match write {
        Write::CreateAddresses { .. } | Write::DeleteAddresses { .. } => Repetition::Harmless,
        Write::PatchPrefix { .. } | Write::DeletePrefix { .. } if refuses_stale_changes => {
            Repetition::Harmless
        }
        Write::CreatePrefix { .. } | Write::PatchPrefix { .. } | Write::DeletePrefix { .. } => {
            Repetition::Doubles
        }
    }
}

/// The same for a write that an earlier run sent.
pub(super) fn repetition_of(kind: IntentKind, detail: &Detail, refuses_stale_changes: bool) -> Repetition {
    match kind {
        IntentKind::Addresses | IntentKind::Assignment | IntentKind::Release | IntentKind::PoolFill => {
            Repetition::Harmless
        }
        IntentKind::Prefix => Repetition::Doubles,
        IntentKind::RegisterLease if detail.before.is_none() => Repetition::Doubles,
        IntentKind::RegisterLease
        | IntentKind::UpdateLease
        | IntentKind::RenewLease
        | IntentKind::EndLease => {
            if refuses_stale_changes {
                Repetition::Harmless
            } else {
                Repetition::Doubles
            }
        }
    }
}
