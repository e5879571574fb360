//! Random numbers from a seed (SplitMix64), the same on every machine.

use std::sync::{Arc, Mutex};

#[derive(Clone)]
pub struct Random(Arc<Mutex<u64>>);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678)))
    }

    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a limit.
    pub fn below(&self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Whether something of this percentage happens.
    pub fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Sleeps up to so many milliseconds.
    pub async fn pause(&self, most: u64) {
        let wait = self.below(most + 1);
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
    }
}
