//! Faults on demand.

use std::time::Duration;

/// What goes wrong, in percent of the requests concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every answer takes so much longer.
    pub delay: Duration,
    /// Requests that get 500; nothing is done.
    pub fail: u8,
    /// Requests that get 429 with Retry-After; nothing is done.
    pub throttle: u8,
    /// Writes that are committed and whose connection is then cut without an answer.
    pub drop_after_commit: u8,
    /// Answers that end in the middle.
    pub cut: u8,
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fate {
    pub(super) delay: Duration,
    pub(super) fail: bool,
    pub(super) throttle: bool,
    pub(super) drop_after_commit: bool,
    pub(super) cut: bool,
}

impl Faults {
    pub(super) fn draw(&self) -> Fate {
        // 128 random bits are more than five draws need.
        let mut random = uuid::Uuid::new_v4().as_u128();
        let mut hit = |percent: u8| {
            let drawn = random % 100;
            random >>= 20;
            drawn < u128::from(percent)
        };
        Fate {
            delay: self.delay,
            fail: hit(self.fail),
            throttle: hit(self.throttle),
            drop_after_commit: hit(self.drop_after_commit),
            cut: hit(self.cut),
        }
    }
}
