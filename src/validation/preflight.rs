//! The gate before an announcement: what each check means for it, and who has to act. Pure.
//!
//! A block is READY if nothing blocks it. What blocks is settable by [`Aspect`]; a required check that gave no answer blocks as
//! one that went wrong does. For leased space it is mostly somebody else who must act: only the holder of the resource can
//! create a ROA, register a route object and issue an LOA.

mod finding;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

pub use finding::{Actor, Aspect, Finding, Severity};

use super::words;
use crate::bgp::{self, Sighting};
use crate::geofeed::Said;
use crate::irr::{IrrState, IrrVerdict};
use crate::model::{
    Asn, CouldNotCheck, InvalidReason, Lease, Network, Observed, Phase, Reputation, Route, RouteState,
    RouteVerdict, Standing, Verdict,
};

/// What is judged: the block, its lease and the policy.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The block.
    pub block: Network,
    /// The lease that covers it, if there is one.
    pub lease: Option<&'a Lease>,
    /// What blocks.
    pub required: &'a BTreeSet<Aspect>,
}

impl Case<'_> {
    fn bad(&self, aspect: Aspect) -> Severity {
        if self.required.contains(&aspect) { Severity::Blocking } else { Severity::Warning }
    }

    fn finding(
        &self,
        aspect: Aspect,
        severity: Severity,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Finding {
        Finding {
            aspect,
            severity,
            reason,
            message: message.into(),
            prefix: self.block,
            source: String::new(),
            observed: None,
            actor: Actor::Nobody,
            ask: String::new(),
        }
    }

    fn holder(&self) -> &str {
        self.lease.and_then(|lease| lease.owner.as_deref()).unwrap_or("the holder of the resource")
    }

    /// Nobody could be asked, or nobody answered.
    pub fn unchecked(&self, aspect: Aspect, prefix: Network, could_not: &CouldNotCheck) -> Finding {
        let required = self.required.contains(&aspect);
        let (severity, reason) = match (could_not.is_not_configured(), required) {
            (true, false) => (Severity::Note, "NOT_CONFIGURED"),
            (true, true) => (Severity::Blocking, "NOT_CONFIGURED"),
            (false, _) => (self.bad(aspect), "COULD_NOT_CHECK"),
        };
        let ask = match (could_not.is_not_configured(), required) {
            (true, true) => {
                format!(
                    "Configure a source for {aspect}, or take {aspect} out of validation.preflight.required."
                )
            }
            (true, false) => String::new(),
            (false, _) => "See why the source does not answer (leasehold status), and try again.".to_owned(),
        };
        Finding {
            prefix,
            actor: if ask.is_empty() { Actor::Nobody } else { Actor::Operator },
            ask,
            ..self.finding(aspect, severity, reason, format!("could not be checked: {could_not}"))
        }
    }

    /// The term.
    pub fn term(&self, today: Date, min_days_left: i32) -> Finding {
        let bad = |reason, message: String, ask: String| Finding {
            actor: Actor::Lessee,
            ask,
            ..self.finding(Aspect::Term, self.bad(Aspect::Term), reason, message)
        };
        let Some(lease) = self.lease else {
            return bad(
                "LEASE_MISSING",
                format!("no lease covers {}", self.block),
                format!("Record it: leasehold lease register {} --owner … --expiry …", self.block),
            );
        };
        let (holder, block) = (self.holder(), self.block);
        let left = lease.term.days_left(today);
        match (lease.term.phase(today), left) {
            (Phase::Expired, _) => bad(
                "LEASE_EXPIRED",
                format!("the lease ended on {}", day(lease.term.expiry)),
                format!(
                    "Renew with {holder} (leasehold lease renew {block} --expiry DATE), or do not announce it."
                ),
            ),
            (Phase::Upcoming, _) => bad(
                "LEASE_NOT_YET_IN_FORCE",
                format!("the lease begins on {}", day(lease.term.start)),
                "Wait for the first day of the term.".to_owned(),
            ),
            (Phase::Unrecorded, _) | (_, None) => bad(
                "LEASE_WITHOUT_EXPIRY",
                "the lease has no recorded last day".to_owned(),
                format!(
                    "Ask {holder} for the term and record it: leasehold lease renew {block} --expiry DATE."
                ),
            ),
            (Phase::InForce, Some(left)) if left < min_days_left => bad(
                "LEASE_ENDS_SOON",
                format!(
                    "the lease ends on {}: {left} days left, {min_days_left} are wanted",
                    day(lease.term.expiry)
                ),
                format!("Renew with {holder} first (leasehold lease renew {block} --expiry DATE)."),
            ),
            (Phase::InForce, Some(left)) => self.finding(
                Aspect::Term,
                Severity::Pass,
                "LEASE_IN_FORCE",
                format!("in force until {} ({left} days left)", day(lease.term.expiry)),
            ),
        }
    }

    /// The letter of authorisation.
    pub fn loa(&self) -> Finding {
        match self.lease.and_then(|lease| lease.loa_reference.as_deref()) {
            Some(reference) => self.finding(Aspect::Loa, Severity::Pass, "LOA_RECORDED", reference),
            None => Finding {
                actor: Actor::Holder,
                ask: format!(
                    "Ask {} for a letter of authorisation, and record its reference.",
                    self.holder()
                ),
                ..self.finding(
                    Aspect::Loa,
                    self.bad(Aspect::Loa),
                    "LOA_MISSING",
                    "no letter of authorisation is recorded",
                )
            },
        }
    }

    /// Nobody says which AS is to announce it.
    pub fn no_origin(&self) -> Vec<Finding> {
        [Aspect::Roa, Aspect::Irr]
            .map(|aspect| Finding {
                actor: Actor::Lessee,
                ask: format!("Record the AS that is to announce {}, or name it with --origin.", self.block),
                ..self.finding(
                    aspect,
                    self.bad(aspect),
                    "ORIGIN_MISSING",
                    "no origin is recorded, so no route can be checked",
                )
            })
            .into()
    }

    /// Origin validation of one route that would be announced.
    pub fn roa(&self, route: Route, seen: &Result<Observed<RouteVerdict>, CouldNotCheck>) -> Vec<Finding> {
        let seen = match seen {
            Ok(seen) => seen,
            Err(could_not) => return vec![self.unchecked(Aspect::Roa, route.prefix, could_not)],
        };
        let found = |severity, reason, message| Finding {
            prefix: route.prefix,
            source: seen.source.clone(),
            observed: Some(seen.time),
            ..self.finding(Aspect::Roa, severity, reason, message)
        };
        let message = words::roa_reason(route, &seen.value);
        let bad = |reason, ask: String| Finding {
            actor: Actor::Holder,
            ask,
            ..found(self.bad(Aspect::Roa), reason, message.clone())
        };
        let (holder, prefix, origin) = (self.holder(), route.prefix, route.origin);
        // RFC 9319: no maxLength but what is announced.
        let wish =
            format!("a ROA for {prefix} with origin {origin} and no maxLength beyond /{}", prefix.length());
        match seen.value.state {
            RouteState::Valid => {
                let mut findings = vec![found(Severity::Pass, "ROA_VALID", message)];
                if let Some(loose) = seen.value.loose() {
                    findings.push(Finding {
                        actor: Actor::Holder,
                        ask: format!("Ask {holder} for {wish}, and to withdraw the loose one."),
                        ..found(
                            Severity::Warning,
                            "ROA_MAX_LENGTH_LOOSE",
                            format!("{loose} authorises more-specifics that nobody announces: whoever forges {origin} can (RFC 9319)"),
                        )
                    });
                }
                findings
            }
            RouteState::NotFound => {
                vec![bad("ROA_MISSING", format!("Ask {holder} to create {wish}: only the holder can."))]
            }
            RouteState::Invalid(InvalidReason::Length) => {
                vec![bad("ROA_TOO_SHORT", format!("Ask {holder} for {wish}, or announce nothing that long."))]
            }
            RouteState::Invalid(InvalidReason::Origin) => {
                vec![bad(
                    "ROA_OTHER_ORIGIN",
                    format!("Ask {holder} for {wish} beside the one that names others."),
                )]
            }
            RouteState::Invalid(InvalidReason::As0) => {
                vec![bad("ROA_AS0", format!("Ask {holder} to withdraw the AS0 ROA and create {wish}."))]
            }
        }
    }

    /// The registries about one route that would be announced.
    pub fn irr(&self, route: Route, seen: &Result<Observed<IrrVerdict>, CouldNotCheck>) -> Finding {
        let seen = match seen {
            Ok(seen) => seen,
            Err(could_not) => return self.unchecked(Aspect::Irr, route.prefix, could_not),
        };
        let (severity, reason) = match seen.value.state {
            IrrState::Registered if seen.value.authoritative => (Severity::Pass, "IRR_REGISTERED"),
            IrrState::Registered => (Severity::Pass, "IRR_REGISTERED_ELSEWHERE"),
            IrrState::OtherOrigin => (self.bad(Aspect::Irr), "IRR_OTHER_ORIGIN"),
            IrrState::LessSpecific => (self.bad(Aspect::Irr), "IRR_LESS_SPECIFIC_ONLY"),
            IrrState::Hidden => (self.bad(Aspect::Irr), "IRR_HIDDEN"),
            IrrState::Absent => (self.bad(Aspect::Irr), "IRR_MISSING"),
        };
        let (holder, prefix, origin) = (self.holder(), route.prefix, route.origin);
        let (actor, ask) = match seen.value.state {
            IrrState::Registered => (Actor::Nobody, String::new()),
            IrrState::Hidden => (
                Actor::Holder,
                format!("Ask {holder} to mend the ROA: the route object is there and hidden by it."),
            ),
            _ => (
                Actor::Holder,
                format!("Ask {holder} to register a route object: route {prefix}, origin {origin}."),
            ),
        };
        Finding {
            prefix,
            source: seen.source.clone(),
            observed: Some(seen.time),
            actor,
            ask,
            ..self.finding(Aspect::Irr, severity, reason, words::irr_reason(route, &seen.value))
        }
    }

    /// What the routing table holds already.
    pub fn bgp(
        &self,
        origin: Option<Asn>,
        seen: &Result<Observed<Sighting>, CouldNotCheck>,
        now: Timestamp,
        stale_after: Duration,
    ) -> Vec<Finding> {
        let seen = match seen {
            Ok(seen) => seen,
            Err(could_not) => return vec![self.unchecked(Aspect::Bgp, self.block, could_not)],
        };
        let found = |severity, reason, message: String| Finding {
            source: seen.source.clone(),
            observed: Some(seen.time),
            ..self.finding(Aspect::Bgp, severity, reason, message)
        };
        if bgp::is_stale(seen.time, now, stale_after) {
            return vec![found(
                self.bad(Aspect::Bgp),
                "BGP_STALE",
                format!("what is known of it is of {}", seen.time),
            )];
        }
        let conflict = |reason, message: String, ask: String| Finding {
            actor: Actor::Holder,
            ask,
            ..found(self.bad(Aspect::Bgp), reason, message)
        };
        let list = |asns: &[Asn]| asns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let all: Vec<Asn> = seen.value.origins.iter().map(|origin| origin.asn).collect();
        let others: Vec<Asn> = all.iter().copied().filter(|asn| Some(*asn) != origin).collect();
        let mut findings = Vec::new();
        if !others.is_empty() {
            let both = if others.len() < all.len() { ", and you do, too (MOAS)" } else { "" };
            findings.push(conflict(
                "BGP_OTHER_ORIGIN",
                format!("{} is announced by {}{both}", self.block, list(&others)),
                format!(
                    "Ask {} who {} is, and to have the announcement withdrawn.",
                    self.holder(),
                    list(&others)
                ),
            ));
        } else if all.is_empty() {
            findings.push(found(Severity::Pass, "BGP_NOT_ANNOUNCED", "nobody announces it".to_owned()));
        } else {
            let seen_by =
                seen.value.visibility.map(|seen| format!(", seen by {} of {} peers", seen.seeing, seen.of));
            let words = format!("{} announces it{}", list(&all), seen_by.unwrap_or_default());
            findings.push(found(Severity::Pass, "BGP_ORIGIN_SEEN", words));
        }
        let foreign: Vec<Route> = seen.value.more_specifics.iter().flatten().copied().collect();
        let foreign: Vec<Route> = foreign.into_iter().filter(|route| Some(route.origin) != origin).collect();
        if !foreign.is_empty() {
            let shown: Vec<String> = foreign.iter().take(3).map(ToString::to_string).collect();
            findings.push(conflict(
                "BGP_MORE_SPECIFICS",
                format!(
                    "{} more-specifics of others are announced inside it: {}",
                    foreign.len(),
                    shown.join(", ")
                ),
                format!("Ask {} to have them withdrawn: they take your traffic.", self.holder()),
            ));
        }
        for gap in &seen.value.gaps {
            findings.push(found(Severity::Note, "BGP_INCOMPLETE", gap.clone()));
        }
        findings
    }

    /// What the blocklists were found to say.
    pub fn reputation(
        &self,
        held: Option<&Standing>,
        why_not: &CouldNotCheck,
        now: Timestamp,
        stale_after: Duration,
    ) -> Finding {
        let Some(standing) = held else { return self.unchecked(Aspect::Reputation, self.block, why_not) };
        let Verdict::Reputation(reputation) = standing.verdict else {
            return self.unchecked(Aspect::Reputation, self.block, why_not);
        };
        let found = |severity, reason, message: String| Finding {
            source: standing.source.clone(),
            observed: Some(standing.observed),
            ..self.finding(Aspect::Reputation, severity, reason, message)
        };
        let holder = self.holder();
        match reputation {
            _ if bgp::is_stale(standing.observed, now, stale_after) => {
                let why = standing.failure.as_ref().map_or(String::new(), |(why, _)| format!("; {why}"));
                Finding {
                    actor: Actor::Operator,
                    ask: "See why the lists do not answer (leasehold status).".to_owned(),
                    ..found(
                        self.bad(Aspect::Reputation),
                        "REPUTATION_STALE",
                        format!(
                            "was {reputation} at {} and could not be checked since{why}",
                            standing.observed
                        ),
                    )
                }
            }
            Reputation::Clean => match standing.candidate {
                Some((Verdict::Reputation(seen), _)) if seen != Reputation::Clean => found(
                    Severity::Warning,
                    "REPUTATION_UNCONFIRMED",
                    format!("clean until now, {seen} at the last look, to be confirmed"),
                ),
                _ => found(Severity::Pass, "REPUTATION_CLEAN", standing.reason.clone()),
            },
            Reputation::Watch => found(Severity::Warning, "REPUTATION_WATCH", standing.reason.clone()),
            Reputation::Listed => Finding {
                actor: Actor::Holder,
                ask: format!(
                    "Ask {holder} to have it delisted, or for another block: its reputation came with it (leasehold reputation {}).",
                    self.block
                ),
                ..found(self.bad(Aspect::Reputation), "REPUTATION_LISTED", standing.reason.clone())
            },
        }
    }

    /// What the holder's geofeed says; `None` if no geofeed is recorded.
    pub fn geofeed(&self, url: Option<&str>, said: &Result<Observed<Said>, CouldNotCheck>) -> Finding {
        let Some(url) = url else {
            return self.finding(
                Aspect::Geofeed,
                Severity::Note,
                "GEOFEED_NOT_RECORDED",
                "no geofeed is recorded",
            );
        };
        let said = match said {
            Ok(said) => said,
            Err(could_not) => return self.unchecked(Aspect::Geofeed, self.block, could_not),
        };
        let found = |severity, reason, message: String| Finding {
            source: said.source.clone(),
            observed: Some(said.time),
            ..self.finding(Aspect::Geofeed, severity, reason, message)
        };
        let countries: Vec<&str> = said.value.countries.iter().map(String::as_str).collect();
        if said.value.covered {
            let place =
                if countries.is_empty() { "not to be located".to_owned() } else { countries.join(", ") };
            return found(Severity::Pass, "GEOFEED_COVERS", format!("it says: {place}"));
        }
        let part = if said.value.entries.is_empty() { "nothing" } else { "a part" };
        Finding {
            actor: Actor::Holder,
            ask: format!("Ask {} to enter {} in the geofeed {url}.", self.holder(), self.block),
            ..found(
                self.bad(Aspect::Geofeed),
                "GEOFEED_DOES_NOT_COVER",
                format!("it says where {part} of the block is"),
            )
        }
    }
}

/// Whether findings let it be announced.
pub fn is_ready(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity < Severity::Blocking)
}

fn day(date: Option<Date>) -> String {
    date.map_or_else(|| "a day that is not recorded".to_owned(), |date| date.to_string())
}

#[cfg(test)]
mod tests;
