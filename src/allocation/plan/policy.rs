//! Which prefixes may be allocated from. Pure: the date is passed in.
//!
//! The policy looks at NetBox's records only: the term, the verdicts and the tags. So every replica refuses the same, and a
//! person can see the reason in NetBox. A verdict that was never recorded refuses nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;

use crate::cache::Index;
use crate::model::{Lease, Prefix, Reputation, RoaStatus, TermPhase};

/// What allocated space is to be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Anything but sending mail.
    #[default]
    General,
    /// Sending mail. Mail gets prefixes of its own, so that one customer's spam does not spoil the reputation of the others.
    Mail,
}

/// Which prefixes may be allocated from, and when released addresses may be allocated again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether a lease that is not in force refuses.
    pub in_force: bool,
    /// The statuses of NetBox that refuse: of the prefix itself, or of one that contains it.
    pub refuse_statuses: BTreeSet<String>,
    /// The days that a lease must have left; 0 allows its last day.
    pub min_days_left: i32,
    /// The recorded verdicts of route origin validation that refuse.
    pub refuse_roa: BTreeSet<RoaStatus>,
    /// The recorded reputations that refuse.
    pub refuse_reputation: BTreeSet<Reputation>,
    /// Slug of the tag that reserves a prefix for mail. Empty: no prefix is reserved for mail.
    pub mail_tag: String,
    /// Slug of the tag on a mail prefix whose reputation with mail receivers is still being built up.
    pub warming_tag: String,
    /// How long released addresses are in quarantine.
    pub quarantine: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            in_force: true,
            refuse_statuses: ["deprecated".to_owned(), "reserved".to_owned()].into(),
            min_days_left: 7,
            refuse_roa: [RoaStatus::Invalid].into(),
            refuse_reputation: [Reputation::Listed].into(),
            mail_tag: "mail".to_owned(),
            warming_tag: "mail-warming".to_owned(),
            quarantine: Duration::from_hours(7 * 24),
        }
    }
}

/// Why the policy refuses a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    Expired,
    NotYetInForce,
    EndsTooSoon,
    Roa,
    Reputation,
    /// The prefix, or one that contains it, has a status that the policy refuses.
    Status,
    /// The prefix is reserved for mail, and the purpose is another.
    MailSpace,
    /// The purpose is mail, and the prefix is not reserved for it.
    NotMailSpace,
    Warming,
}

impl Refusal {
    /// The stable reason that clients get as the type of a precondition violation (google.rpc.PreconditionFailure).
    pub fn reason(self) -> &'static str {
        match self {
            Self::Expired => "LEASE_EXPIRED",
            Self::NotYetInForce => "LEASE_NOT_YET_IN_FORCE",
            Self::EndsTooSoon => "LEASE_ENDS_SOON",
            Self::Roa => "ROA_REFUSED",
            Self::Reputation => "REPUTATION_REFUSED",
            Self::Status => "STATUS_REFUSED",
            Self::MailSpace => "MAIL_SPACE",
            Self::NotMailSpace => "NOT_MAIL_SPACE",
            Self::Warming => "MAIL_SPACE_WARMING",
        }
    }

    /// The refusal as it follows a number of prefixes, as in "3 expired".
    pub(super) fn after_count(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetInForce => "not yet in force",
            Self::EndsTooSoon => "too close to their last day",
            Self::Roa => "with a ROA status that the policy refuses",
            Self::Reputation => "with a reputation that the policy refuses",
            Self::Status => "with a status that the policy refuses",
            Self::MailSpace => "reserved for mail",
            Self::NotMailSpace => "not reserved for mail",
            Self::Warming => "not warmed up for mail yet",
        }
    }
}

/// A refusal with its reason for people, which says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub refusal: Refusal,
    pub reason: String,
}

impl Policy {
    /// Every refusal of this prefix; none if it may be allocated from.
    pub fn refusals(&self, index: &Index, prefix: &Prefix, purpose: Purpose, today: Date) -> Vec<Refused> {
        let covering = index.covering_lease(prefix.scope, prefix.network);
        let mut refused = covering.map(|(_, lease)| self.of_lease(lease, today)).unwrap_or_default();
        refused.extend(self.of_status(index, prefix));
        refused.extend(self.of_mail(index, prefix, purpose));
        refused
    }

    /// Why nothing may stand in a prefix that was allowed a moment ago: its lease has ended, or its status says so. What only a
    /// choice between prefixes looks at is left out.
    pub fn ended(&self, index: &Index, prefix: &Prefix, today: Date) -> Vec<Refused> {
        let covering = index.covering_lease(prefix.scope, prefix.network);
        let refused = covering.map(|(_, lease)| self.of_lease(lease, today)).unwrap_or_default();
        let expired = refused.into_iter().filter(|refused| refused.refusal == Refusal::Expired);
        expired.chain(self.of_status(index, prefix)).collect()
    }

    /// A block that was given back, or is kept for something else, hands out nothing; nor does what stands inside it.
    fn of_status(&self, index: &Index, prefix: &Prefix) -> Option<Refused> {
        let around = index.chain(prefix.scope, prefix.network).map(|around| &**around);
        let refusing = around.chain([prefix]).find(|found| self.refuse_statuses.contains(&found.status))?;
        let subject = if refusing.network == prefix.network {
            "its status".to_owned()
        } else {
            format!("the status of {}, which contains it,", refusing.network)
        };
        let reason = format!("{subject} is {}: change it in NetBox to allocate from it", refusing.status);
        Some(Refused { refusal: Refusal::Status, reason })
    }

    fn of_lease(&self, lease: &Lease, today: Date) -> Vec<Refused> {
        let mut refused = Vec::new();
        let mut refuse = |refusal, reason| refused.push(Refused { refusal, reason });
        let day = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
        if self.in_force {
            match (lease.term.phase(today), lease.term.days_left(today)) {
                (TermPhase::Expired, _) => {
                    refuse(
                        Refusal::Expired,
                        format!("its lease ended on {}: renew it first", day(lease.term.expiry)),
                    );
                }
                (TermPhase::Upcoming, _) => refuse(
                    Refusal::NotYetInForce,
                    format!("its lease begins on {}: wait for that day", day(lease.term.start)),
                ),
                (TermPhase::InForce, Some(left)) if left < self.min_days_left => refuse(
                    Refusal::EndsTooSoon,
                    format!(
                        "its lease ends on {}: {left} days are left, {} are required; renew it first",
                        day(lease.term.expiry),
                        self.min_days_left
                    ),
                ),
                (TermPhase::InForce | TermPhase::Unrecorded, _) => {}
            }
        }
        if let Some(status) = lease.roa_status.filter(|status| self.refuse_roa.contains(status)) {
            refuse(
                Refusal::Roa,
                format!("its roa_status is {status}: networks may drop its routes; see leasehold preflight"),
            );
        }
        if let Some(reputation) = lease.reputation.filter(|word| self.refuse_reputation.contains(word)) {
            refuse(Refusal::Reputation, format!("its reputation is {reputation}: see leasehold reputation"));
        }
        refused
    }

    /// A prefix is reserved for mail if it or a prefix that contains it carries the tag.
    fn of_mail(&self, index: &Index, prefix: &Prefix, purpose: Purpose) -> Option<Refused> {
        if self.mail_tag.is_empty() {
            return None;
        }
        let chain = index.lookup(prefix.scope, prefix.network.first()).chain;
        let tagged = |tag: &str| {
            let around = chain.iter().filter(|around| around.network.contains(prefix.network));
            around.flat_map(|around| &around.tags).chain(&prefix.tags).any(|found| *found.slug == *tag)
        };
        let refuse = |refusal, reason: String| Some(Refused { refusal, reason });
        match (purpose, tagged(&self.mail_tag)) {
            (Purpose::General, true) => refuse(
                Refusal::MailSpace,
                format!(
                    "it is reserved for mail (tag {}): set purpose to mail, or use another prefix",
                    self.mail_tag
                ),
            ),
            (Purpose::Mail, false) => refuse(
                Refusal::NotMailSpace,
                format!("it is not reserved for mail: use a prefix with the tag {}", self.mail_tag),
            ),
            (Purpose::Mail, true) if tagged(&self.warming_tag) => refuse(
                Refusal::Warming,
                format!("it is not warmed up for mail yet: remove the tag {} when it is", self.warming_tag),
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Term;

    fn lease() -> Lease {
        let day = |text: &str| Some(text.parse().unwrap());
        Lease {
            term: Term { start: day("2026-06-01"), expiry: day("2027-06-01"), notice: None },
            ..Lease::default()
        }
    }

    fn refused(policy: &Policy, lease: &Lease, today: &str) -> Vec<Refusal> {
        policy.of_lease(lease, today.parse().unwrap()).into_iter().map(|refused| refused.refusal).collect()
    }

    #[test]
    fn a_term_refuses_before_it_begins_near_its_end_and_after() {
        let policy = Policy::default();
        assert_eq!(refused(&policy, &lease(), "2026-05-31"), [Refusal::NotYetInForce]);
        assert_eq!(refused(&policy, &lease(), "2026-06-01"), []);
        assert_eq!(refused(&policy, &lease(), "2027-05-25"), []);
        assert_eq!(refused(&policy, &lease(), "2027-05-26"), [Refusal::EndsTooSoon]);
        assert_eq!(refused(&policy, &lease(), "2027-06-02"), [Refusal::Expired]);
        let lax = Policy { in_force: false, ..policy };
        assert_eq!(refused(&lax, &lease(), "2027-06-02"), []);
    }

    #[test]
    fn verdicts_refuse_as_the_policy_says_and_all_at_once() {
        let lease =
            Lease { roa_status: Some(RoaStatus::Unknown), reputation: Some(Reputation::Listed), ..lease() };
        assert_eq!(refused(&Policy::default(), &lease, "2026-07-01"), [Refusal::Reputation]);
        let strict =
            Policy { refuse_roa: [RoaStatus::Invalid, RoaStatus::Unknown].into(), ..Policy::default() };
        assert_eq!(refused(&strict, &lease, "2026-07-01"), [Refusal::Roa, Refusal::Reputation]);
        assert_eq!(
            refused(&strict, &super::tests::lease(), "2026-07-01"),
            [],
            "a verdict that was never recorded refuses nothing"
        );
    }
}
