//! Faults on demand, drawn at random for each request.

use std::time::Duration;

/// The faults that requests meet, each as a percentage of the requests concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every answer is delayed by this much.
    pub delay: Duration,
    /// Requests that are answered with 500 and change nothing.
    pub fail: u8,
    /// Requests that are answered with 429 and Retry-After and change nothing.
    pub throttle: u8,
    /// Writes that are answered as in NetBox's maintenance mode and change nothing.
    pub maintenance: u8,
    /// Writes that are committed before their connection is cut without an answer.
    pub drop_after_commit: u8,
    /// Answers whose body ends in the middle.
    pub cut: u8,
    /// Writes whose connection is cut at once, and that are committed later, as a busy worker does whose client is gone.
    pub late: u8,
    /// How much later.
    pub late_by: Duration,
}

/// The faults that one request meets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DrawnFaults {
    pub(super) delay: Duration,
    pub(super) fail: bool,
    pub(super) throttle: bool,
    pub(super) maintenance: bool,
    pub(super) drop_after_commit: bool,
    pub(super) cut: bool,
    pub(super) late: Option<Duration>,
}

impl Faults {
    /// Decides at random which faults one request meets.
    pub(super) fn draw(&self) -> DrawnFaults {
        // Each of the six draws uses 20 of the 128 random bits.
        let mut random = uuid::Uuid::new_v4().as_u128();
        let mut hit = |percent: u8| {
            let drawn = random % 100;
            random >>= 20;
            drawn < u128::from(percent)
        };
        DrawnFaults {
            delay: self.delay,
            fail: hit(self.fail),
            throttle: hit(self.throttle),
            maintenance: hit(self.maintenance),
            drop_after_commit: hit(self.drop_after_commit),
            cut: hit(self.cut),
            late: hit(self.late).then_some(self.late_by),
        }
    }
}
