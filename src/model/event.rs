//! Events: what happened to a record, to a term, or to the sync, each with a kind that programs filter by.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Address, Check, Network, Prefix, Revision, Table, VerdictChange};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)+) => {
        /// What kind of thing happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EventKind {
            $($(#[$doc])* $variant,)+
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its word, as settings and the ledger spell it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl FromStr for EventKind {
            type Err = UnknownKind;

            fn from_str(word: &str) -> Result<Self, UnknownKind> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    other => Err(UnknownKind(other.to_owned())),
                }
            }
        }
    };
}

kinds! {
    /// A prefix without a lease was recorded.
    PrefixCreated = "prefix_created",
    /// A prefix changed in something that is not what was agreed: a verdict on it, for example.
    PrefixChanged = "prefix_changed",
    /// A prefix without a lease was deleted.
    PrefixDeleted = "prefix_deleted",
    /// A child prefix was allocated through Leasehold.
    PrefixAllocated = "prefix_allocated",
    /// A prefix carries a lease that did not before.
    LeaseRegistered = "lease_registered",
    /// The last day of a lease moved to a later one.
    LeaseRenewed = "lease_renewed",
    /// A lease changed in something else; shortened, for example.
    LeaseChanged = "lease_changed",
    /// A prefix carries its lease no more, or was deleted with it.
    LeaseEnded = "lease_ended",
    /// The last day of a lease came within a threshold.
    LeaseExpiring = "lease_expiring",
    /// The last day of a lease has passed.
    LeaseExpired = "lease_expired",
    /// The last day to give notice came within a threshold.
    NoticeDue = "notice_due",
    /// The last day to give notice has passed.
    NoticePassed = "notice_passed",
    /// An address was recorded by hand or by another tool.
    AddressRecorded = "address_recorded",
    /// The record of an address changed.
    AddressChanged = "address_changed",
    /// An address that was not allocated here was deleted.
    AddressRemoved = "address_removed",
    /// An address was allocated through Leasehold.
    AddressAllocated = "address_allocated",
    /// An address that was allocated here was deleted.
    AddressReleased = "address_released",
    /// NetBox can no longer be followed: what is served grows old.
    SyncLost = "sync_lost",
    /// NetBox is followed again.
    SyncRegained = "sync_regained",
    /// Origin validation says something else of a block than it did.
    RoaChanged = "roa_changed",
    /// The registries do.
    IrrChanged = "irr_changed",
    /// The blocklists do.
    ReputationChanged = "reputation_changed",
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no kind of event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of event")]
pub struct UnknownKind(String);

/// A record before and after. Never both `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change<T> {
    /// As it stood; `None` if it did not.
    pub before: Option<Arc<T>>,
    /// As it stands; `None` if it does no more.
    pub after: Option<Arc<T>>,
}

impl<T> Change<T> {
    /// The record as it stands, or as it stood if it is gone.
    pub fn latest(&self) -> Option<&Arc<T>> {
        self.after.as_ref().or(self.before.as_ref())
    }
}

/// Which date of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermDate {
    /// The last day of the lease.
    Expiry,
    /// The last day to renew or to give notice.
    Notice,
}

impl TermDate {
    /// Its word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expiry => "expiry",
            Self::Notice => "notice",
        }
    }
}

/// Days before a date at which it is told of; smaller is tighter. 0 is the day itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Threshold(pub i32);

impl Threshold {
    /// The date has passed: the tightest there is.
    pub const PASSED: Self = Self(-1);

    /// Whether the date has passed.
    pub fn is_passed(self) -> bool {
        self < Self(0)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_passed() { f.write_str("passed") } else { write!(f, "{} days", self.0) }
    }
}

/// A date of a lease that came within a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermReached {
    /// The prefix with its lease, as it stood then.
    pub prefix: Arc<Prefix>,
    /// Which of its dates.
    pub which: TermDate,
    /// The date.
    pub date: Date,
    /// The tightest threshold that was reached.
    pub threshold: Threshold,
    /// Days from that day to the date; negative once it has passed.
    pub days_left: i32,
}

/// What it happened to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A prefix and its lease.
    Prefix(Change<Prefix>),
    /// An address.
    Address(Change<Address>),
    /// A term.
    Term(TermReached),
    /// A verdict.
    Verdict(VerdictChange),
    /// The sync; why.
    Sync(String),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Happening {
    /// What kind of thing.
    pub kind: EventKind,
    /// When, as far as is known: NetBox's own time of the change where it gives one.
    pub time: Timestamp,
    /// To what.
    pub subject: Subject,
}

/// Something that happened, as the log holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the log: 1 is the first; none is left out.
    pub sequence: u64,
    /// When the log took it up.
    pub recorded: Timestamp,
    /// What happened.
    pub happening: Happening,
}

impl Happening {
    /// A change of a prefix. `gone` is when it was deleted, if that is known.
    pub fn prefix(change: Change<Prefix>, gone: Option<Timestamp>, now: Timestamp) -> Self {
        let revisions = (
            revision(change.before.as_ref(), |p| &p.revision),
            revision(change.after.as_ref(), |p| &p.revision),
        );
        Self {
            kind: prefix_kind(&change),
            time: time_of(revisions.0, revisions.1, gone, now),
            subject: Subject::Prefix(change),
        }
    }

    /// A change of an address.
    pub fn address(change: Change<Address>, gone: Option<Timestamp>, now: Timestamp) -> Self {
        let revisions = (
            revision(change.before.as_ref(), |a| &a.revision),
            revision(change.after.as_ref(), |a| &a.revision),
        );
        Self {
            kind: address_kind(&change),
            time: time_of(revisions.0, revisions.1, gone, now),
            subject: Subject::Address(change),
        }
    }

    /// A date of a lease that came near or has passed.
    pub fn term(reached: TermReached, now: Timestamp) -> Self {
        let kind = match (reached.which, reached.threshold.is_passed()) {
            (TermDate::Expiry, false) => EventKind::LeaseExpiring,
            (TermDate::Expiry, true) => EventKind::LeaseExpired,
            (TermDate::Notice, false) => EventKind::NoticeDue,
            (TermDate::Notice, true) => EventKind::NoticePassed,
        };
        Self { kind, time: now, subject: Subject::Term(reached) }
    }

    /// A verdict that changed.
    pub fn verdict(change: VerdictChange, now: Timestamp) -> Self {
        let kind = match change.after.check() {
            Check::Roa => EventKind::RoaChanged,
            Check::Irr => EventKind::IrrChanged,
            Check::Reputation => EventKind::ReputationChanged,
        };
        Self { kind, time: now, subject: Subject::Verdict(change) }
    }

    /// The prefix that it is about, if it is about one.
    pub fn about_prefix(&self) -> Option<&Arc<Prefix>> {
        match &self.subject {
            Subject::Prefix(change) => change.latest(),
            Subject::Term(reached) => Some(&reached.prefix),
            Subject::Verdict(change) => Some(&change.prefix),
            Subject::Address(_) | Subject::Sync(_) => None,
        }
    }

    /// What it is about, whatever is said of it: events of one matter are told in their order.
    pub fn matter(&self) -> String {
        match &self.subject {
            Subject::Sync(_) => "sync".to_owned(),
            Subject::Address(change) => {
                change.latest().map_or_else(String::new, |address| format!("address/{}", address.id.0))
            }
            Subject::Prefix(_) | Subject::Term(_) | Subject::Verdict(_) => {
                self.about_prefix().map_or_else(String::new, |prefix| format!("prefix/{}", prefix.id.0))
            }
        }
    }

    /// The address that it is about, if it is about one.
    pub fn about_address(&self) -> Option<&Arc<Address>> {
        match &self.subject {
            Subject::Address(change) => change.latest(),
            _ => None,
        }
    }

    /// The prefix before and after, if it is a change of one.
    pub fn prefixes(&self) -> impl Iterator<Item = &Arc<Prefix>> {
        let (before, after) = match &self.subject {
            Subject::Prefix(change) => (change.before.as_ref(), change.after.as_ref()),
            Subject::Term(reached) => (None, Some(&reached.prefix)),
            Subject::Verdict(change) => (None, Some(&change.prefix)),
            Subject::Address(_) | Subject::Sync(_) => (None, None),
        };
        before.into_iter().chain(after)
    }

    /// Every network that it is about, with its table: two where a record moved.
    pub fn networks(&self) -> Vec<(Table, Network)> {
        let mut networks: Vec<(Table, Network)> = match &self.subject {
            Subject::Address(change) => change
                .before
                .iter()
                .chain(&change.after)
                .map(|address| (address.table, Network::host(address.host())))
                .collect(),
            _ => self.prefixes().map(|prefix| (prefix.table, prefix.network)).collect(),
        };
        networks.dedup();
        networks
    }

    /// The owner of the lease that it is about.
    pub fn owner(&self) -> Option<&str> {
        // What a lease that ended was is said by the record before.
        self.prefixes().filter_map(|prefix| prefix.lease.as_deref()?.owner.as_deref()).last()
    }
}

fn revision<T>(record: Option<&Arc<T>>, of: impl Fn(&T) -> &Revision) -> Option<Timestamp> {
    record.and_then(|record| of(record).instant())
}

/// NetBox's time of the change; now where it gives none: a deletion seen in a full pass, a tenant that was renamed.
fn time_of(
    before: Option<Timestamp>,
    after: Option<Timestamp>,
    gone: Option<Timestamp>,
    now: Timestamp,
) -> Timestamp {
    match (before, after) {
        (_, Some(after)) if before.is_none_or(|before| before < after) => after,
        (_, None) => gone.unwrap_or(now),
        _ => now,
    }
}

fn prefix_kind(change: &Change<Prefix>) -> EventKind {
    let lease = |record: &Option<Arc<Prefix>>| record.as_ref().and_then(|prefix| prefix.lease.clone());
    match (lease(&change.before), lease(&change.after)) {
        (None, Some(_)) => EventKind::LeaseRegistered,
        (Some(_), None) => EventKind::LeaseEnded,
        (Some(before), Some(after)) if before.agreed() != after.agreed() => {
            if before.term.expiry < after.term.expiry && before.term.expiry.is_some() {
                EventKind::LeaseRenewed
            } else {
                EventKind::LeaseChanged
            }
        }
        _ => match (&change.before, &change.after) {
            (None, Some(after)) if after.allocation.is_some() => EventKind::PrefixAllocated,
            (None, _) => EventKind::PrefixCreated,
            (Some(_), Some(_)) => EventKind::PrefixChanged,
            (Some(_), None) => EventKind::PrefixDeleted,
        },
    }
}

fn address_kind(change: &Change<Address>) -> EventKind {
    let allocated =
        |record: &Option<Arc<Address>>| record.as_ref().is_some_and(|address| address.allocation.is_some());
    match (&change.before, &change.after) {
        (None, _) if allocated(&change.after) => EventKind::AddressAllocated,
        (None, _) => EventKind::AddressRecorded,
        (Some(_), None) if allocated(&change.before) => EventKind::AddressReleased,
        (Some(_), None) => EventKind::AddressRemoved,
        (Some(_), Some(_)) => EventKind::AddressChanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Lease, PrefixId, Term};
    use jiff::civil::date;

    fn prefix(expiry: Option<Date>) -> Arc<Prefix> {
        let lease = expiry.map(|expiry| {
            let term = Term { expiry: Some(expiry), ..Term::default() };
            Box::new(Lease { owner: Some("ACME-LIR".into()), term, ..Lease::default() })
        });
        Arc::new(Prefix {
            lease,
            ..Prefix::bare(PrefixId(1), "203.0.113.0/24".parse().unwrap(), Table::Global)
        })
    }

    #[test]
    fn a_change_of_a_prefix_is_named_by_what_it_does_to_the_lease() {
        let (early, late) = (Some(date(2027, 6, 1)), Some(date(2028, 6, 1)));
        let kind = |before: Option<Option<Date>>, after: Option<Option<Date>>| {
            prefix_kind(&Change { before: before.map(prefix), after: after.map(prefix) })
        };
        assert_eq!(kind(None, Some(None)), EventKind::PrefixCreated);
        assert_eq!(kind(None, Some(early)), EventKind::LeaseRegistered);
        assert_eq!(kind(Some(None), Some(early)), EventKind::LeaseRegistered);
        assert_eq!(kind(Some(early), Some(late)), EventKind::LeaseRenewed);
        assert_eq!(kind(Some(late), Some(early)), EventKind::LeaseChanged);
        assert_eq!(kind(Some(early), Some(None)), EventKind::LeaseEnded);
        assert_eq!(kind(Some(early), None), EventKind::LeaseEnded);
        assert_eq!(kind(Some(None), None), EventKind::PrefixDeleted);
        assert_eq!(kind(Some(early), Some(early)), EventKind::PrefixChanged);
    }

    #[test]
    fn an_event_reads_back_and_an_ended_lease_keeps_its_owner() {
        let change = Change { before: Some(prefix(Some(date(2027, 6, 1)))), after: Some(prefix(None)) };
        let happening = Happening::prefix(change, None, Timestamp::UNIX_EPOCH);
        assert_eq!(happening.owner(), Some("ACME-LIR"));
        let text = serde_json::to_string(&happening).unwrap();
        assert_eq!(serde_json::from_str::<Happening>(&text).unwrap(), happening);
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
    }
}
