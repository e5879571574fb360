//! The space that the writes of this process are about to take. The ledger reserves it among servers; this says it before the ledger
//! has been asked, so that writes that are planned at the same time do not choose the same addresses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ledger::{Reservation, ReservationHold, ReservedRange};
use crate::model::RequestId;

/// The writes of this process, and what each is about to take.
#[derive(Default)]
pub(super) struct InFlight(Mutex<BTreeMap<RequestId, Vec<Reservation>>>);

/// A write that is carried out. Its space is free again, or in the cache, when this is dropped.
pub(super) struct Flight {
    all: Arc<InFlight>,
    request: RequestId,
}

impl InFlight {
    /// Begins a write. A request id is held by one write at a time.
    pub(super) fn begin(self: &Arc<Self>, request: RequestId) -> Flight {
        Flight { all: self.clone(), request }
    }

    /// The ranges that other writes than this one are about to take.
    pub(super) fn planned_by_others(&self, own: &RequestId) -> Vec<ReservedRange> {
        let all = self.lock();
        let others = all.iter().filter(|(request, _)| *request != own);
        others
            .flat_map(|(request, ranges)| {
                let hold = ReservationHold::Exclusive;
                ranges.iter().map(move |range| ReservedRange {
                    range: *range,
                    request: request.clone(),
                    hold,
                })
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RequestId, Vec<Reservation>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Says what the write is about to take now.
    pub(super) fn plan(&self, ranges: &[Reservation]) {
        self.all.lock().insert(self.request.clone(), ranges.to_vec());
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.all.lock().remove(&self.request);
    }
}
