//! What became of allocations: one by its request id, or a list. Reads the ledger and the cache, and writes nothing.

use std::sync::Arc;

use jiff::Timestamp;

use super::allocator::Allocator;
use super::error::Error;
use crate::cache::Index;
use crate::ledger::{Intent, IntentKind, IntentSelection, IntentState, ListIntents};
use crate::model::{Address, AddressId, Prefix, PrefixId, RequestId};

/// Intents that one page examines at most. It bounds the cost of a page whose filter matches few allocations; the page is then short,
/// and its position is that of the last intent examined.
const MAX_EXAMINED: usize = 5_000;
/// Intents that are read from the ledger at once, where a filter has to examine them.
const READ_AT_ONCE: usize = 1000;

/// What has become of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationState {
    /// It is under way, or its outcome is not known.
    Pending,
    /// NetBox holds all its records.
    Done,
    /// It came to nothing, and no record of it is known.
    Failed,
    /// It was done, and at least one of its records is no longer in NetBox.
    Released,
}

/// The command that made an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationKind {
    Addresses,
    Prefix,
    Assignment,
}

/// An allocation, as the ledger and NetBox's records have it together.
#[derive(Clone, Debug)]
pub struct Allocation {
    pub request: RequestId,
    pub kind: AllocationKind,
    pub state: AllocationState,
    /// The prefix that it came from; `None` if only NetBox's records know of the allocation.
    pub parent: Option<PrefixId>,
    /// The addresses that NetBox holds now, in the order of their index.
    pub addresses: Vec<Arc<Address>>,
    /// The prefix that NetBox holds now.
    pub prefix: Option<Arc<Prefix>>,
    /// When it was begun and when its intent last changed; `None` if only NetBox's records know of the allocation.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// Which allocations to list. An allocation must match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocationFilter {
    pub state: Option<AllocationState>,
    /// The prefix that they came from.
    pub parent: Option<PrefixId>,
}

/// A position in the list of allocations: when the allocation was begun, and its request id.
pub type AllocationPosition = (Timestamp, RequestId);

/// A page of allocations, the newest first.
#[derive(Clone, Debug)]
pub struct AllocationPage {
    pub allocations: Vec<Allocation>,
    /// The position of the last intent that was examined; `None` if there is no older one.
    pub next: Option<AllocationPosition>,
    /// The snapshot that the records come from.
    pub index: Arc<Index>,
}

// The ledger is read before the snapshot is taken: an intent becomes done after its records are in the cache. In the other order
// an allocation that ends in between would look released.
impl Allocator {
    /// The allocation of a request id, with the snapshot that its records come from. The ledger knows it, or, if another ledger
    /// began it, its records in NetBox do.
    pub async fn find(&self, request: &RequestId) -> Result<(Allocation, Arc<Index>), Error> {
        let intent = self.intents().get(request).await?;
        let index = self.snapshot()?;
        let begun = intent.and_then(|intent| of_intent(&index, &intent));
        match begun.or_else(|| of_records(&index, request)) {
            Some(allocation) => Ok((allocation, index)),
            None => Err(Self::not_found(request)),
        }
    }

    /// A page of at most `size` allocations that the ledger knows and that match the filter. A page can be shorter than `size`, or
    /// empty, although older allocations follow.
    pub async fn search(
        &self,
        filter: &AllocationFilter,
        after: Option<AllocationPosition>,
        size: usize,
    ) -> Result<AllocationPage, Error> {
        let (mut allocations, mut next, mut examined) = (Vec::new(), after, 0);
        loop {
            let limit = if filter.state.is_none() { size.saturating_add(1) } else { READ_AT_ONCE };
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let list = ListIntents { selection: filter.selection(), after: next.clone(), limit };
            let intents = self.intents().list(&list).await?;
            let index = self.snapshot()?;
            let exhausted = intents.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            for intent in intents {
                if allocations.len() == size || examined == MAX_EXAMINED {
                    return Ok(AllocationPage { allocations, next, index });
                }
                examined += 1;
                let allocation = of_intent(&index, &intent);
                next = Some((intent.created, intent.request));
                allocations
                    .extend(allocation.filter(|one| filter.state.is_none_or(|state| one.state == state)));
            }
            if exhausted {
                return Ok(AllocationPage { allocations, next: None, index });
            }
            if examined == MAX_EXAMINED {
                return Ok(AllocationPage { allocations, next, index });
            }
        }
    }
}

impl AllocationFilter {
    /// The intents of which the allocations that match are a part. The ledger does not distinguish done from released, NetBox's
    /// records do.
    fn selection(&self) -> IntentSelection {
        match (self.parent, self.state) {
            (Some(parent), _) => IntentSelection::Parent(parent),
            (None, None) => IntentSelection::All,
            (None, Some(AllocationState::Pending)) => IntentSelection::State(IntentState::Pending),
            (None, Some(AllocationState::Failed)) => IntentSelection::State(IntentState::Failed),
            (None, Some(AllocationState::Done | AllocationState::Released)) => {
                IntentSelection::State(IntentState::Done)
            }
        }
    }
}

/// The allocation of an intent; `None` if it is of another kind.
fn of_intent(index: &Index, intent: &Intent) -> Option<Allocation> {
    let kind = match intent.kind {
        IntentKind::Addresses => AllocationKind::Addresses,
        IntentKind::Prefix => AllocationKind::Prefix,
        IntentKind::Assignment => AllocationKind::Assignment,
        IntentKind::Release
        | IntentKind::RegisterLease
        | IntentKind::UpdateLease
        | IntentKind::RenewLease
        | IntentKind::EndLease
        | IntentKind::PoolFill => return None,
    };
    let (addresses, prefix) = records_of(index, intent);
    let recorded = addresses.len() + usize::from(prefix.is_some());
    let state = match intent.step.state() {
        IntentState::Pending => AllocationState::Pending,
        // NetBox carried out a write that was given up: what NetBox records counts.
        IntentState::Failed if recorded > 0 => AllocationState::Done,
        IntentState::Failed => AllocationState::Failed,
        IntentState::Done if recorded < intent.detail.made.len() => AllocationState::Released,
        IntentState::Done => AllocationState::Done,
    };
    Some(Allocation {
        request: intent.request.clone(),
        kind,
        state,
        parent: intent.parent,
        addresses,
        prefix,
        times: Some((intent.created, intent.updated)),
    })
}

/// The records of an allocation: those that the ledger knows by their ids, since people edit the rest of a record, and those that
/// carry its allocation ids while the ledger does not know them yet.
fn records_of(index: &Index, intent: &Intent) -> (Vec<Arc<Address>>, Option<Arc<Prefix>>) {
    let made = &intent.detail.made;
    if made.is_empty() {
        let (addresses, prefix) = index.allocated(&intent.request);
        return (addresses.into_iter().cloned().collect(), prefix.cloned());
    }
    if intent.kind == IntentKind::Prefix {
        let prefix = made.first().and_then(|id| index.prefix(PrefixId(*id)));
        return (Vec::new(), prefix.cloned());
    }
    (made.iter().filter_map(|id| index.address(AddressId(*id)).cloned()).collect(), None)
}

/// The allocation that only NetBox's records know of: of another ledger, or of one that was lost. Records do not say whether an
/// address was allocated or assigned.
fn of_records(index: &Index, request: &RequestId) -> Option<Allocation> {
    let (addresses, prefix) = index.allocated(request);
    // What a pool has reserved is nobody's allocation.
    if request.is_of_pool() || addresses.is_empty() && prefix.is_none() {
        return None;
    }
    Some(Allocation {
        request: request.clone(),
        kind: if prefix.is_some() { AllocationKind::Prefix } else { AllocationKind::Addresses },
        state: AllocationState::Done,
        parent: None,
        addresses: addresses.into_iter().cloned().collect(),
        prefix: prefix.cloned(),
        times: None,
    })
}
