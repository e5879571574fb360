//! What is said of an event. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::route::{Severity, days_left};
use crate::ledger::Delivery;
use crate::model::{
    Asn, Check, Event, EventKind, Happening, Lease, Prefix, PrefixId, Revision, Subject, Table, Term,
    TermDate, TermReached, Threshold, VerdictChange, fingerprint,
};

/// An event for a sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Stable over retries.
    pub id: String,
    /// Tries before this one.
    pub tried: u32,
    /// The event.
    pub event: Event,
}

impl From<Delivery> for Note {
    fn from(delivery: Delivery) -> Self {
        Self { id: delivery.id, tried: delivery.attempts.saturating_sub(1), event: delivery.event }
    }
}

impl Note {
    fn happening(&self) -> &Happening {
        &self.event.happening
    }

    /// What kind of thing happened.
    pub fn kind(&self) -> EventKind {
        self.happening().kind
    }

    /// How urgent it is.
    pub fn severity(&self) -> Severity {
        Severity::of(self.happening())
    }

    /// The network that it is about; empty if it is about none.
    pub fn network(&self) -> String {
        let prefix = self.happening().about_prefix().map(|prefix| prefix.network.to_string());
        let address = || self.happening().about_address().map(|address| address.host().to_string());
        prefix.or_else(address).unwrap_or_default()
    }

    /// The table that it is about.
    pub fn table(&self) -> Table {
        let prefix = self.happening().about_prefix().map(|prefix| prefix.table);
        prefix.or_else(|| self.happening().about_address().map(|address| address.table)).unwrap_or_default()
    }

    /// The lease that it is about: as it stands, or as it stood if it has ended.
    pub fn lease(&self) -> Option<&Lease> {
        self.happening().prefixes().filter_map(|prefix| prefix.lease.as_deref()).last()
    }

    /// One line. Example: `203.0.113.0/24 (ACME-LIR) expires in 14 days, on 2027-06-01`.
    pub fn line(&self) -> String {
        let owner = self.happening().owner().map(|owner| format!(" ({owner})")).unwrap_or_default();
        let what = match &self.happening().subject {
            Subject::Term(reached) => term_words(reached),
            Subject::Sync(reason) if self.kind() == EventKind::SyncLost => {
                return format!("NetBox can no longer be followed: {reason}");
            }
            Subject::Sync(_) => return "NetBox is followed again".to_owned(),
            Subject::Verdict(change) => verdict_words(change),
            Subject::Prefix(_) | Subject::Address(_) => self.change_words(),
        };
        let table = match self.table() {
            Table::Global => String::new(),
            Table::Vrf(id) => format!(" [VRF {id}]"),
        };
        format!("{}{table}{owner} {what}", self.network())
    }

    fn change_words(&self) -> String {
        let until = |lease: Option<&Lease>| {
            lease.and_then(|lease| lease.term.expiry).map(|day| format!(" until {day}")).unwrap_or_default()
        };
        match self.kind() {
            EventKind::LeaseRegistered => format!("is leased{}", until(self.lease())),
            EventKind::LeaseRenewed => format!("is renewed{}", until(self.lease())),
            EventKind::LeaseEnded => "is no longer leased".to_owned(),
            other => other
                .as_str()
                .split_once('_')
                .map_or_else(String::new, |(what, verb)| format!("{what} {verb}")),
        }
    }

    /// What is to be done about it; empty if nothing is.
    pub fn advice(&self) -> String {
        let Some(lease) = self.lease() else { return String::new() };
        let owner = lease.owner.as_deref().unwrap_or("the owner");
        match self.kind() {
            EventKind::LeaseExpiring | EventKind::LeaseExpired => format!(
                "Renew with {owner} (leasehold lease renew {} --expiry DATE), or move what uses it and end the lease.",
                self.network()
            ),
            EventKind::RoaChanged | EventKind::IrrChanged if !self.takes_back() => format!(
                "Only {owner} can mend it: the ROA and the route object are the resource holder's to make. Do not announce \
                 it before (leasehold preflight {}).",
                self.network()
            ),
            EventKind::ReputationChanged if !self.takes_back() => {
                format!("See which addresses are listed, and why: leasehold reputation {}.", self.network())
            }
            EventKind::NoticeDue | EventKind::NoticePassed => {
                format!("This is the last day to renew with {owner} or to give notice.")
            }
            _ => String::new(),
        }
    }

    /// What it is about, so that two alerts of one matter are one: the prefix, its table, and which date of its lease.
    pub fn dedupe_key(&self) -> String {
        let which = match &self.happening().subject {
            Subject::Term(reached) => reached.which.as_str(),
            Subject::Verdict(change) => change.after.check().as_str(),
            Subject::Sync(_) => "sync",
            Subject::Prefix(_) | Subject::Address(_) => "record",
        };
        self.key_of(which)
    }

    /// The keys of everything that it settles: a renewal settles what ran out, an end everything, a good verdict a bad one.
    pub fn settled_keys(&self) -> Vec<String> {
        let dates = [TermDate::Expiry, TermDate::Notice].map(TermDate::as_str);
        let which: Vec<&str> = match (&self.happening().subject, self.kind()) {
            (_, EventKind::SyncRegained) => vec!["sync"],
            (Subject::Verdict(change), _) if change.after.is_good() => vec![change.after.check().as_str()],
            (_, EventKind::LeaseRenewed) => dates.to_vec(),
            (_, EventKind::LeaseEnded) => dates.into_iter().chain(Check::ALL.map(Check::as_str)).collect(),
            _ => Vec::new(),
        };
        which.into_iter().map(|which| self.key_of(which)).collect()
    }

    /// Whether it takes something back that was raised before.
    pub fn takes_back(&self) -> bool {
        takes_back(self.happening())
    }

    fn key_of(&self, which: &str) -> String {
        let id = self.happening().about_prefix().map_or(0, |prefix| prefix.id.0);
        format!("leasehold-{}", fingerprint(format!("{id}/{which}"), 6))
    }

    /// For programs: flat, and named as the API names things.
    pub fn data(&self) -> Value {
        let lease = self.lease();
        let day = |date: Option<Date>| date.map(|date| date.to_string());
        json!({
            "sequence": self.event.sequence,
            "type": self.kind().as_str(),
            "severity": self.severity().as_str(),
            "message": self.line(),
            "prefix": self.network(),
            "vrf_id": self.table().number(),
            "owner": self.happening().owner(),
            "expiry": day(lease.and_then(|lease| lease.term.expiry)),
            "notice_date": day(lease.and_then(|lease| lease.term.notice)),
            "loa_reference": lease.and_then(|lease| lease.loa_reference.clone()),
            "days_left": days_left(self.happening()),
            "event": self.happening(),
        })
    }
}

/// Whether an event takes back what an earlier one raised.
pub(super) fn takes_back(happening: &Happening) -> bool {
    match (&happening.subject, happening.kind) {
        (_, EventKind::LeaseRenewed | EventKind::LeaseEnded | EventKind::SyncRegained) => true,
        (Subject::Verdict(change), _) => change.after.is_good(),
        _ => false,
    }
}

fn verdict_words(change: &VerdictChange) -> String {
    let what = match change.after.check() {
        Check::Roa => "RPKI",
        Check::Irr => "IRR",
        Check::Reputation => "reputation",
    };
    let reason = if change.reason.is_empty() { String::new() } else { format!(": {}", change.reason) };
    format!("{what} is {} (was {}){reason}", change.after.as_str(), change.before.as_str())
}

fn term_words(reached: &TermReached) -> String {
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
        (TermDate::Notice, true) => format!("could be given notice of until {}, {day}", ago(-left)),
        (TermDate::Notice, false) => format!("can be given notice of until {day}, {}", ahead(left)),
    }
}

/// An event that never happened, to try a sink with: the lease of a documentation prefix that runs out in 14 days.
pub fn sample(now: Timestamp) -> Event {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let date = today.checked_add(jiff::Span::new().days(14)).unwrap_or(today);
    let lease = Lease {
        owner: Some("ACME-LIR".to_owned()),
        term: Term { expiry: Some(date), ..Term::default() },
        loa_reference: Some("LOA-2026-0481".to_owned()),
        origin: Asn::try_from(64500).ok(),
        ..Lease::default()
    };
    let prefix = Prefix {
        id: PrefixId(0),
        network: ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(203, 0, 113, 0), 24).into(),
        table: Table::Global,
        status: "active".to_owned(),
        is_pool: false,
        mark_utilized: false,
        tenant: None,
        role: None,
        tags: Vec::new(),
        description: "A test of this sink: nothing runs out".to_owned(),
        lease: Some(Box::new(lease)),
        allocation: None,
        custom_fields: serde_json::Map::new(),
        revision: Revision::default(),
    };
    let reached = TermReached {
        prefix: Arc::new(prefix),
        which: TermDate::Expiry,
        date,
        threshold: Threshold(14),
        days_left: 14,
    };
    Event { sequence: 0, recorded: now, happening: Happening::term(reached, now) }
}
