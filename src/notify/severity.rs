//! How urgent an event is. Pure.

use std::str::FromStr;

use crate::model::{DomainEvent, EventKind, Reputation, RoaStatus, Subject, Verdict};

/// How urgent an event is, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertSeverity {
    /// Nobody has to do anything.
    Info,
    /// Somebody should look at it.
    Warning,
    /// Somebody must act on it.
    Critical,
}

impl AlertSeverity {
    /// Every severity, in ascending order.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word for it in settings and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The severity of an event. A date that has passed or comes within 7 days is critical, one within 30 days a warning.
    pub fn of(domain_event: &DomainEvent) -> Self {
        match domain_event.kind {
            EventKind::LeaseExpired | EventKind::NoticePassed => Self::Critical,
            EventKind::LeaseExpiring | EventKind::NoticeDue => match days_left(domain_event) {
                Some(..=7) => Self::Critical,
                Some(..=30) => Self::Warning,
                _ => Self::Info,
            },
            EventKind::RoaChanged | EventKind::IrrChanged | EventKind::ReputationChanged => {
                of_verdict(domain_event)
            }
            EventKind::SyncLost | EventKind::LeaseEnded | EventKind::CompletionRefused => Self::Warning,
            _ => Self::Info,
        }
    }
}

impl FromStr for AlertSeverity {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|severity| severity.as_str() == word);
        found.ok_or_else(|| format!("{word:?} is none of info, warning, critical"))
    }
}

/// An invalid route (other networks drop it) and a listed block are critical; other verdicts that are not good are warnings.
fn of_verdict(domain_event: &DomainEvent) -> AlertSeverity {
    match &domain_event.subject {
        Subject::Verdict(change) => match change.after {
            Verdict::Roa(RoaStatus::Invalid) | Verdict::Reputation(Reputation::Listed) => {
                AlertSeverity::Critical
            }
            after if after.is_good() => AlertSeverity::Info,
            _ => AlertSeverity::Warning,
        },
        _ => AlertSeverity::Info,
    }
}

/// The days from the event to the date that it is about, negative once the date has passed; `None` if it is about no date.
pub(super) fn days_left(domain_event: &DomainEvent) -> Option<i32> {
    match &domain_event.subject {
        Subject::Term(reached) => Some(reached.days_left),
        _ => None,
    }
}
