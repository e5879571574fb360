//! A notification: an event with what people and programs need to read about it. Pure.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::resolution::{problem, resolved_problems, resolves};
use super::severity::{AlertSeverity, days_left};
use crate::ledger::Delivery;
use crate::model::{
    Check, DomainEvent, Event, EventKind, Lease, Subject, TermDate, TermReached, VerdictChange, VrfScope,
    digest,
};

/// An event for a sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The id of the delivery, the same for every attempt.
    pub id: String,
    pub event: Event,
}

impl From<Delivery> for Notification {
    fn from(delivery: Delivery) -> Self {
        Self { id: delivery.id, event: delivery.event }
    }
}

impl Notification {
    fn domain_event(&self) -> &DomainEvent {
        &self.event.domain_event
    }

    /// The kind of the event.
    pub fn kind(&self) -> EventKind {
        self.domain_event().kind
    }

    /// How urgent the event is.
    pub fn severity(&self) -> AlertSeverity {
        AlertSeverity::of(self.domain_event())
    }

    /// The prefix or the address that the event is about; empty if it is about neither.
    pub fn network(&self) -> String {
        let prefix = self.domain_event().about_prefix().map(|prefix| prefix.network.to_string());
        let address = || self.domain_event().about_address().map(|address| address.host().to_string());
        prefix.or_else(address).unwrap_or_default()
    }

    /// The VRF of that prefix or address.
    pub fn scope(&self) -> VrfScope {
        let prefix = self.domain_event().about_prefix().map(|prefix| prefix.scope);
        let address = || self.domain_event().about_address().map(|address| address.scope);
        prefix.or_else(address).unwrap_or_default()
    }

    /// The lease that the event is about. If the event ended the lease, as it was before.
    pub fn lease(&self) -> Option<&Lease> {
        self.domain_event().prefixes().filter_map(|prefix| prefix.lease.as_deref()).last()
    }

    /// One line. Example: `203.0.113.0/24 (ACME-LIR) expires in 14 days, on 2027-06-01`.
    pub fn summary(&self) -> String {
        let owner = self.domain_event().owner().map(|owner| format!(" ({owner})")).unwrap_or_default();
        let what = match &self.domain_event().subject {
            Subject::Term(reached) => describe_term(reached),
            Subject::Sync(reason) if self.kind() == EventKind::SyncLost => {
                return format!("The connection to NetBox is lost: {reason}");
            }
            Subject::Sync(_) => return "The connection to NetBox is restored".to_owned(),
            Subject::Verdict(change) => describe_verdict(change),
            Subject::Completion(refused) => {
                format!("is allocated, and NetBox refuses its record: {}", refused.reason)
            }
            Subject::Prefix(_) | Subject::Address(_) => self.describe_change(),
        };
        let scope = match self.scope() {
            VrfScope::Global => String::new(),
            VrfScope::Vrf(id) => format!(" [VRF {id}]"),
        };
        format!("{}{scope}{owner} {what}", self.network())
    }

    fn describe_change(&self) -> String {
        let until = |lease: Option<&Lease>| {
            lease.and_then(|lease| lease.term.expiry).map(|day| format!(" until {day}")).unwrap_or_default()
        };
        match self.kind() {
            EventKind::LeaseRegistered => format!("is leased{}", until(self.lease())),
            EventKind::LeaseRenewed => format!("is renewed{}", until(self.lease())),
            EventKind::LeaseEnded => "is no longer leased".to_owned(),
            // The other words read as they are: prefix_created becomes "prefix created".
            other => other
                .as_str()
                .split_once('_')
                .map_or_else(String::new, |(what, verb)| format!("{what} {verb}")),
        }
    }

    /// What somebody should do about the event; empty if nothing.
    pub fn advice(&self) -> String {
        let Some(lease) = self.lease() else { return String::new() };
        let owner = lease.owner.as_deref().unwrap_or("the owner");
        match self.kind() {
            EventKind::LeaseExpiring | EventKind::LeaseExpired => format!(
                "Renew the lease with {owner} (leasehold lease renew {} --expiry DATE), or move what uses the prefix and \
                 end the lease.",
                self.network()
            ),
            EventKind::RoaChanged | EventKind::IrrChanged if !self.resolves() => format!(
                "Only {owner} can fix this, because the ROA and the route object are the resource holder's. Do not \
                 announce the prefix before that (leasehold preflight {}).",
                self.network()
            ),
            EventKind::ReputationChanged if !self.resolves() => {
                format!("Show which addresses are listed, and why: leasehold reputation {}.", self.network())
            }
            EventKind::NoticeDue | EventKind::NoticePassed => {
                format!("The notice date is the last day to renew with {owner} or to give notice.")
            }
            _ => String::new(),
        }
    }

    /// Identifies the problem that the event is about: two events with the same key are about one problem of one prefix.
    pub fn dedupe_key(&self) -> String {
        self.key_of(problem(self.domain_event()))
    }

    /// The keys of the problems that the event resolves.
    pub fn resolved_keys(&self) -> Vec<String> {
        resolved_problems(self.domain_event()).into_iter().map(|problem| self.key_of(problem)).collect()
    }

    /// Whether the event resolves a problem that an earlier one may have raised.
    pub fn resolves(&self) -> bool {
        resolves(self.domain_event())
    }

    fn key_of(&self, problem: &str) -> String {
        let id = self.domain_event().about_prefix().map_or(0, |prefix| prefix.id.0);
        format!("leasehold-{}", digest(format!("{id}/{problem}"), 6))
    }

    /// The event for programs: the main facts at the top, named as the API names them, and the whole event below them.
    pub fn data(&self) -> Value {
        let lease = self.lease();
        let day = |date: Option<Date>| date.map(|date| date.to_string());
        json!({
            "sequence": self.event.sequence,
            "type": self.kind().as_str(),
            "severity": self.severity().as_str(),
            "message": self.summary(),
            "prefix": self.network(),
            "vrf_id": self.scope().number(),
            "owner": self.domain_event().owner(),
            "expiry": day(lease.and_then(|lease| lease.term.expiry)),
            "notice_date": day(lease.and_then(|lease| lease.term.notice)),
            "loa_reference": lease.and_then(|lease| lease.loa_reference.clone()),
            "days_left": days_left(self.domain_event()),
            "event": self.domain_event(),
        })
    }
}

fn describe_verdict(change: &VerdictChange) -> String {
    let check = match change.after.check() {
        Check::Roa => "RPKI",
        Check::Irr => "IRR",
        Check::Reputation => "reputation",
    };
    let reason = if change.reason.is_empty() { String::new() } else { format!(": {}", change.reason) };
    format!("{check} is {} (was {}){reason}", change.after.as_str(), change.before.as_str())
}

fn describe_term(reached: &TermReached) -> String {
    let day = reached.date;
    let ago = |days: i32| if days == 1 { "1 day ago".to_owned() } else { format!("{days} days ago") };
    let ahead = |days: i32| match days {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        days => format!("in {days} days"),
    };
    let left = reached.days_left;
    match (reached.which, left < 0) {
        (TermDate::Expiry, true) => format!("expired {}, on {day}", ago(-left)),
        (TermDate::Expiry, false) => format!("expires {}, on {day}", ahead(left)),
        (TermDate::Notice, true) => format!("had its notice date {}, on {day}", ago(-left)),
        (TermDate::Notice, false) => format!("has its notice date {}, on {day}", ahead(left)),
    }
}
