//! Which events go to which sinks. Pure.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::message::takes_back;
use crate::model::{EventKind, Happening, Reputation, RoaStatus, Subject, Verdict};

/// How urgent an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must act.
    Critical,
}

impl Severity {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// How urgent something is: what has run out or will within a week is critical, within a month a warning.
    pub fn of(happening: &Happening) -> Self {
        match happening.kind {
            EventKind::LeaseExpired | EventKind::NoticePassed => Self::Critical,
            EventKind::LeaseExpiring | EventKind::NoticeDue => match days_left(happening) {
                Some(..=7) => Self::Critical,
                Some(..=30) => Self::Warning,
                _ => Self::Info,
            },
            EventKind::RoaChanged | EventKind::IrrChanged | EventKind::ReputationChanged => {
                of_verdict(happening)
            }
            EventKind::SyncLost | EventKind::LeaseEnded => Self::Warning,
            _ => Self::Info,
        }
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "info" => Ok(Self::Info),
            "warning" => Ok(Self::Warning),
            "critical" => Ok(Self::Critical),
            other => Err(format!("{other:?} is none of info, warning, critical")),
        }
    }
}

/// A route that is dropped, or a block that is listed, is critical; what may become so is a warning.
fn of_verdict(happening: &Happening) -> Severity {
    match &happening.subject {
        Subject::Verdict(change) => match change.after {
            Verdict::Roa(RoaStatus::Invalid) | Verdict::Reputation(Reputation::Listed) => Severity::Critical,
            after if after.is_good() => Severity::Info,
            _ => Severity::Warning,
        },
        _ => Severity::Info,
    }
}

/// Days to the date that an event is about.
pub fn days_left(happening: &Happening) -> Option<i32> {
    match &happening.subject {
        Subject::Term(reached) => Some(reached.days_left),
        _ => None,
    }
}

/// What goes to a sink when nobody says otherwise: what runs out, what no longer holds, and whether we could know.
const BY_DEFAULT: [EventKind; 9] = [
    EventKind::LeaseExpiring,
    EventKind::LeaseExpired,
    EventKind::NoticeDue,
    EventKind::NoticePassed,
    EventKind::RoaChanged,
    EventKind::IrrChanged,
    EventKind::ReputationChanged,
    EventKind::SyncLost,
    EventKind::SyncRegained,
];

/// Sends events to a sink. Every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The sink.
    pub sink: String,
    /// Only these kinds; what runs out, verdicts, and the sync, if empty.
    pub kinds: BTreeSet<EventKind>,
    /// Only leases of these owners; all if empty.
    pub owners: BTreeSet<String>,
    /// At least as urgent.
    pub min_severity: Option<Severity>,
    /// Only dates no further away.
    pub max_days_left: Option<i32>,
}

impl Route {
    /// What a sink without a route gets.
    pub fn by_default(sink: &str) -> Self {
        Self { sink: sink.to_owned(), ..Self::default() }
    }

    /// Whether the event goes this way. `keeps_open` says that the sink keeps something open, which has to hear of its end,
    /// whatever the conditions on kind and urgency.
    pub fn takes(&self, happening: &Happening, keeps_open: bool) -> bool {
        let owner =
            self.owners.is_empty() || happening.owner().is_some_and(|owner| self.owners.contains(owner));
        if keeps_open && takes_back(happening) {
            return owner;
        }
        let kind = if self.kinds.is_empty() {
            BY_DEFAULT.contains(&happening.kind)
        } else {
            self.kinds.contains(&happening.kind)
        };
        kind && owner
            && self.min_severity.is_none_or(|least| Severity::of(happening) >= least)
            && self.max_days_left.is_none_or(|most| days_left(happening).is_some_and(|left| left <= most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::message::sample;

    #[test]
    fn every_condition_must_hold() {
        let sample = sample(jiff::Timestamp::UNIX_EPOCH).happening;
        let route = Route::by_default("ops");
        assert!(route.takes(&sample, false));
        assert!(!Route { owners: ["OTHER".to_owned()].into(), ..route.clone() }.takes(&sample, false));
        assert!(Route { owners: ["ACME-LIR".to_owned()].into(), ..route.clone() }.takes(&sample, false));
        assert!(Route { min_severity: Some(Severity::Warning), ..route.clone() }.takes(&sample, false));
        assert!(!Route { min_severity: Some(Severity::Critical), ..route.clone() }.takes(&sample, false));
        assert!(!Route { max_days_left: Some(13), ..route.clone() }.takes(&sample, false));
        assert!(Route { max_days_left: Some(14), ..route.clone() }.takes(&sample, false));
        assert!(!Route { kinds: [EventKind::LeaseExpired].into(), ..route }.takes(&sample, false));
    }

    #[test]
    fn a_sink_that_keeps_something_open_hears_of_its_end() {
        let renewed =
            Happening { kind: EventKind::LeaseRenewed, ..sample(jiff::Timestamp::UNIX_EPOCH).happening };
        let route = Route { min_severity: Some(Severity::Critical), ..Route::by_default("tracker") };
        assert!(route.takes(&renewed, true));
        assert!(!route.takes(&renewed, false));
        assert!(!Route { owners: ["OTHER".to_owned()].into(), ..route }.takes(&renewed, true));
    }
}
