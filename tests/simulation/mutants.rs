//! The guards of the write path, each of which can be taken away: by a port that behaves as if the guard did not exist.

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Nothing.
    None,
    /// Verification finds nothing that others wrote.
    NoVerification,
    /// A step is stored whoever holds the intent.
    NoCompareAndSet,
    /// Ranges are not reserved.
    NoReservation,
    /// The record is not asked what became of a write.
    NoQuestion,
    /// Nothing waits for NetBox's request limit.
    NoRequestLimit,
    /// Records that arrive late are not looked for.
    NoSweep,
    /// NetBox accepts a second record with the same allocation id.
    NoUniqueIds,
    /// NetBox changes a record whatever version was read.
    NoVersionCheck,
    /// The change log does not tell what a request did.
    NoLogQuestion,
    /// A request is sent before its intent and its reservation are stored.
    IntentAfterRequest,
    /// Released addresses are in no quarantine.
    NoQuarantine,
}

impl Mutant {
    pub const ALL: [Self; 11] = [
        Self::NoVerification,
        Self::NoCompareAndSet,
        Self::NoReservation,
        Self::NoQuestion,
        Self::NoRequestLimit,
        Self::NoSweep,
        Self::NoUniqueIds,
        Self::NoVersionCheck,
        Self::NoLogQuestion,
        Self::IntentAfterRequest,
        Self::NoQuarantine,
    ];
}
