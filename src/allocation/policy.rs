//! Which blocks addresses are handed out of. Pure: the date is passed in.
//!
//! What is judged is the record: the term, the verdicts and the tags as NetBox holds them, so that every replica refuses
//! alike, and a person can see why. A verdict that was never recorded refuses nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::cache::Index;
use crate::model::{Lease, Phase, Prefix, Reputation, RoaStatus};

/// What addresses are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Anything but sending mail.
    #[default]
    General,
    /// Sending mail: on space of its own, so that one customer's mistake does not taint a block shared with everyone else.
    Mail,
}

impl Purpose {
    /// For fingerprints: a request that does not say stays the request that it was.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde hands a reference
    pub(super) fn is_general(&self) -> bool {
        *self == Self::General
    }
}

/// Which blocks addresses are handed out of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether a lease that is not in force refuses.
    pub in_force: bool,
    /// Days that a lease must have left; 0 for its last day.
    pub min_days_left: i32,
    /// Recorded verdicts of origin validation that refuse.
    pub refuse_roa: BTreeSet<RoaStatus>,
    /// Recorded reputations that refuse.
    pub refuse_reputation: BTreeSet<Reputation>,
    /// Slug of the tag that marks mail space; nothing is mail space if empty.
    pub mail_tag: String,
    /// Slug of the tag that marks mail space that is not warmed up yet.
    pub warming_tag: String,
    /// How long addresses rest after they were given back.
    pub quarantine: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            in_force: true,
            min_days_left: 7,
            refuse_roa: [RoaStatus::Invalid].into(),
            refuse_reputation: [Reputation::Listed].into(),
            mail_tag: "mail".to_owned(),
            warming_tag: "mail-warming".to_owned(),
            quarantine: Duration::from_hours(7 * 24),
        }
    }
}

/// Why a block is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Its lease ended.
    Expired,
    /// Its lease has not begun.
    NotYetInForce,
    /// Its lease ends too soon.
    EndsTooSoon,
    /// The RPKI says what policy refuses.
    Roa,
    /// The blocklists say what policy refuses.
    Reputation,
    /// It is kept for mail.
    MailSpace,
    /// It is not kept for mail.
    NotMailSpace,
    /// It is mail space that is not warmed up yet.
    Warming,
}

impl Refusal {
    /// UPPER_SNAKE, stable.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Expired => "LEASE_EXPIRED",
            Self::NotYetInForce => "LEASE_NOT_YET_IN_FORCE",
            Self::EndsTooSoon => "LEASE_ENDS_SOON",
            Self::Roa => "ROA_REFUSED",
            Self::Reputation => "REPUTATION_REFUSED",
            Self::MailSpace => "MAIL_SPACE",
            Self::NotMailSpace => "NOT_MAIL_SPACE",
            Self::Warming => "MAIL_SPACE_WARMING",
        }
    }

    /// For a count of blocks that do not fit.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetInForce => "not yet in force",
            Self::EndsTooSoon => "too close to their end",
            Self::Roa => "whose ROA policy refuses",
            Self::Reputation => "whose reputation policy refuses",
            Self::MailSpace => "kept for mail",
            Self::NotMailSpace => "not kept for mail",
            Self::Warming => "not warmed up yet",
        }
    }
}

/// A refusal in words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// In words.
    pub words: String,
}

impl Policy {
    /// Everything that speaks against handing out of this block; nothing if it may be.
    pub fn refusals(&self, index: &Index, prefix: &Prefix, purpose: Purpose, today: Date) -> Vec<Refused> {
        let covering = index.covering_lease(prefix.table, prefix.network);
        let mut refused = covering.map(|(_, lease)| self.of_lease(lease, today)).unwrap_or_default();
        refused.extend(self.of_mail(index, prefix, purpose));
        refused
    }

    fn of_lease(&self, lease: &Lease, today: Date) -> Vec<Refused> {
        let mut refused = Vec::new();
        let mut refuse = |refusal, words| refused.push(Refused { refusal, words });
        let day = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
        if self.in_force {
            match (lease.term.phase(today), lease.term.days_left(today)) {
                (Phase::Expired, _) => {
                    refuse(
                        Refusal::Expired,
                        format!("its lease ended on {}: renew it first", day(lease.term.expiry)),
                    );
                }
                (Phase::Upcoming, _) => refuse(
                    Refusal::NotYetInForce,
                    format!("its lease begins on {}: wait for that day", day(lease.term.start)),
                ),
                (Phase::InForce, Some(left)) if left < self.min_days_left => refuse(
                    Refusal::EndsTooSoon,
                    format!(
                        "its lease ends on {}: {left} days left, {} are wanted; renew it first",
                        day(lease.term.expiry),
                        self.min_days_left
                    ),
                ),
                (Phase::InForce | Phase::Unrecorded, _) => {}
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

    /// Mail space is a block that carries the tag, or lies in one that does.
    fn of_mail(&self, index: &Index, prefix: &Prefix, purpose: Purpose) -> Option<Refused> {
        if self.mail_tag.is_empty() {
            return None;
        }
        let chain = index.lookup(prefix.table, prefix.network.first()).chain;
        let tagged = |tag: &str| {
            let around = chain.iter().filter(|around| around.network.contains(prefix.network));
            around.flat_map(|around| &around.tags).chain(&prefix.tags).any(|found| *found.slug == *tag)
        };
        let refuse = |refusal, words: String| Some(Refused { refusal, words });
        match (purpose, tagged(&self.mail_tag)) {
            (Purpose::General, true) => refuse(
                Refusal::MailSpace,
                format!(
                    "it is kept for mail (tag {}): ask for purpose mail, or for another block",
                    self.mail_tag
                ),
            ),
            (Purpose::Mail, false) => refuse(
                Refusal::NotMailSpace,
                format!("it is not kept for mail: mail goes out of blocks with the tag {}", self.mail_tag),
            ),
            (Purpose::Mail, true) if tagged(&self.warming_tag) => refuse(
                Refusal::Warming,
                format!("it is not warmed up yet: take the tag {} off it when it is", self.warming_tag),
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
            "what was never checked refuses nothing"
        );
    }
}
