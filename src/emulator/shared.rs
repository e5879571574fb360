//! What all connections to an emulated NetBox share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::faults::{DrawnFaults, Faults};
use super::state::EmulatorState;

pub(super) struct SharedEmulator {
    /// One lock for every record, so that each request is a transaction of its own. It is never held across an await.
    state: Mutex<EmulatorState>,
    faults: Mutex<Faults>,
    /// The token that may read and write. With `-readonly` appended it may only read.
    pub(super) token: String,
}

impl SharedEmulator {
    pub(super) fn new(token: &str, state: EmulatorState) -> Self {
        Self { state: Mutex::new(state), faults: Mutex::default(), token: token.to_owned() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, EmulatorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Decides which faults the next request meets.
    pub(super) fn draw_faults(&self) -> DrawnFaults {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).draw()
    }
}
