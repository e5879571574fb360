//! The space that the writes of this process are about to take. The ledger reserves it among servers; this says it before the ledger
//! has been asked, so that writes that are planned at the same time do not choose the same addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::operations::single_addresses;
use crate::ledger::{Reservation, ReservationHold, ReservedRange};
use crate::model::{Address, RequestId, VrfScope};

/// What one write is about to take.
#[derive(Default)]
struct Taken {
    planned: Vec<Reservation>,
    /// The addresses that NetBox has recorded for it, which the cache need not have yet.
    written: Vec<(VrfScope, IpAddr)>,
}

/// The writes of this process that take space.
#[derive(Default)]
pub(super) struct InFlight(Mutex<BTreeMap<RequestId, Taken>>);

/// A write that is carried out. Its space is free again, or in the cache, when this is dropped.
pub(super) struct Flight {
    all: Arc<InFlight>,
    request: RequestId,
}

impl InFlight {
    /// Begins a write. A request id is held by one write at a time.
    pub(super) fn begin(self: &Arc<Self>, request: RequestId) -> Flight {
        self.lock().insert(request.clone(), Taken::default());
        Flight { all: self.clone(), request }
    }

    /// The ranges that other writes than this one are about to take.
    pub(super) fn planned_by_others(&self, own: &RequestId) -> Vec<ReservedRange> {
        let all = self.lock();
        let others = all.iter().filter(|(request, _)| *request != own);
        others
            .flat_map(|(request, taken)| {
                let written = taken.written.iter().flat_map(|(scope, host)| single(*scope, *host));
                let ranges = taken.planned.iter().copied().chain(written);
                ranges.map(|range| exclusive(range, request))
            })
            .collect()
    }

    /// The addresses that NetBox has recorded for writes that are not over.
    pub(super) fn written(&self) -> Vec<ReservedRange> {
        let all = self.lock();
        all.iter()
            .flat_map(|(request, taken)| {
                let hosts = taken.written.iter().flat_map(|(scope, host)| single(*scope, *host));
                hosts.map(|range| exclusive(range, request))
            })
            .collect()
    }

    /// NetBox has recorded these addresses for a write.
    pub(super) fn wrote(&self, request: &RequestId, records: &[Address]) {
        if let Some(taken) = self.lock().get_mut(request) {
            taken.written = records.iter().map(|record| (record.scope, record.host())).collect();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RequestId, Taken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Says what the write is about to take now.
    pub(super) fn plan(&self, ranges: &[Reservation]) {
        if let Some(taken) = self.all.lock().get_mut(&self.request) {
            ranges.clone_into(&mut taken.planned);
            taken.written.clear();
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.all.lock().remove(&self.request);
    }
}

fn single(scope: VrfScope, host: IpAddr) -> Vec<Reservation> {
    single_addresses(scope, [host].into_iter())
}

fn exclusive(range: Reservation, request: &RequestId) -> ReservedRange {
    ReservedRange { range, request: request.clone(), hold: ReservationHold::Exclusive }
}
