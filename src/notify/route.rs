//! Which events go to which sinks. Pure.

use std::collections::BTreeSet;

use super::resolution::resolves;
use super::severity::{AlertSeverity, days_left};
use crate::model::{DomainEvent, EventKind};

/// The kinds of events that a route without kinds sends: dates that are near or have passed, verdicts that changed, NetBox
/// that was lost or regained, and records that it refuses after they were handed out.
const DEFAULT_KINDS: [EventKind; 10] = [
    EventKind::LeaseExpiring,
    EventKind::LeaseExpired,
    EventKind::NoticeDue,
    EventKind::NoticePassed,
    EventKind::RoaChanged,
    EventKind::IrrChanged,
    EventKind::ReputationChanged,
    EventKind::SyncLost,
    EventKind::SyncRegained,
    EventKind::CompletionRefused,
];

/// Sends events to a sink. Every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationRoute {
    /// The name of the sink.
    pub sink: String,
    /// Only events of these kinds; of the default kinds if empty.
    pub kinds: BTreeSet<EventKind>,
    /// Only events about leases of these owners; of any owner if empty.
    pub owners: BTreeSet<String>,
    /// Only events of this severity or a higher one.
    pub min_severity: Option<AlertSeverity>,
    /// Only events about a date that is at most this many days away.
    pub max_days_left: Option<i32>,
}

impl NotificationRoute {
    /// The route of a sink for which none is configured: every event of the default kinds.
    pub fn by_default(sink: &str) -> Self {
        Self { sink: sink.to_owned(), ..Self::default() }
    }

    /// Whether the route's sink receives an event. `keeps_open` says that the sink opens tickets or alerts that a later event
    /// resolves: it then receives every event that may resolve one, whatever the conditions on kind, severity and days are.
    pub fn takes(&self, domain_event: &DomainEvent, keeps_open: bool) -> bool {
        let owner =
            self.owners.is_empty() || domain_event.owner().is_some_and(|owner| self.owners.contains(owner));
        if keeps_open && resolves(domain_event) {
            return owner;
        }
        let kind = if self.kinds.is_empty() {
            DEFAULT_KINDS.contains(&domain_event.kind)
        } else {
            self.kinds.contains(&domain_event.kind)
        };
        kind && owner
            && self.min_severity.is_none_or(|least| AlertSeverity::of(domain_event) >= least)
            && self.max_days_left.is_none_or(|most| days_left(domain_event).is_some_and(|left| left <= most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::sample_event;

    #[test]
    fn every_condition_must_hold() {
        let sample = sample_event(jiff::Timestamp::UNIX_EPOCH).domain_event;
        let route = NotificationRoute::by_default("ops");
        assert!(route.takes(&sample, false));
        let takes = |route: NotificationRoute| route.takes(&sample, false);
        assert!(!takes(NotificationRoute { owners: ["OTHER".to_owned()].into(), ..route.clone() }));
        assert!(takes(NotificationRoute { owners: ["ACME-LIR".to_owned()].into(), ..route.clone() }));
        assert!(takes(NotificationRoute { min_severity: Some(AlertSeverity::Warning), ..route.clone() }));
        assert!(!takes(NotificationRoute { min_severity: Some(AlertSeverity::Critical), ..route.clone() }));
        assert!(!takes(NotificationRoute { max_days_left: Some(13), ..route.clone() }));
        assert!(takes(NotificationRoute { max_days_left: Some(14), ..route.clone() }));
        assert!(!takes(NotificationRoute { kinds: [EventKind::LeaseExpired].into(), ..route.clone() }));
    }

    #[test]
    fn a_sink_that_keeps_something_open_receives_the_event_that_resolves_it() {
        let sample = sample_event(jiff::Timestamp::UNIX_EPOCH).domain_event;
        let renewed = DomainEvent { kind: EventKind::LeaseRenewed, ..sample };
        let route = NotificationRoute {
            min_severity: Some(AlertSeverity::Critical),
            ..NotificationRoute::by_default("tracker")
        };
        assert!(route.takes(&renewed, true));
        assert!(!route.takes(&renewed, false));
        assert!(!NotificationRoute { owners: ["OTHER".to_owned()].into(), ..route }.takes(&renewed, true));
    }
}
