//! The preflight's findings about BGP: who announces the block already.

use jiff::Timestamp;

use super::finding::{FindingActor, FindingSeverity, PreflightAspect, PreflightFinding};
use super::review::AnnouncementReview;
use crate::bgp::{self, RouteObservation};
use crate::model::{Asn, CouldNotCheck, Observed, Route};

impl AnnouncementReview<'_> {
    /// Whether an AS other than `origin` announces the block, or a part of it.
    pub(super) fn bgp(
        &self,
        origin: Option<Asn>,
        answer: &Result<Observed<RouteObservation>, CouldNotCheck>,
        now: Timestamp,
    ) -> Vec<PreflightFinding> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(could_not) => return vec![self.unchecked(PreflightAspect::Bgp, self.block, could_not)],
        };
        let found = |severity, reason, message: String| PreflightFinding {
            source: answer.source.clone(),
            observed: Some(answer.time),
            ..self.finding(PreflightAspect::Bgp, severity, reason, message)
        };
        let fault = self.fault(PreflightAspect::Bgp);
        if bgp::is_stale(answer.time, now, self.settings.bgp_stale_after) {
            return vec![found(fault, "BGP_STALE", format!("the latest data is from {}", answer.time))];
        }
        let conflict = |reason, message: String, advice: String| PreflightFinding {
            actor: FindingActor::Holder,
            advice,
            ..found(fault, reason, message)
        };
        let (holder, block, seen) = (self.holder(), self.block, &answer.value);
        let all: Vec<Asn> = seen.origins.iter().map(|origin| origin.asn).collect();
        let others: Vec<Asn> = all.iter().copied().filter(|asn| Some(*asn) != origin).collect();
        let mut findings = Vec::new();
        if !others.is_empty() {
            let others_text = list(&others);
            let also = if others.len() < all.len() { ", beside your AS (MOAS)" } else { "" };
            findings.push(conflict(
                "BGP_OTHER_ORIGIN",
                format!("{block} is announced by {others_text}{also}"),
                format!("Ask {holder} who {others_text} is, and to have the announcement withdrawn."),
            ));
        } else if all.is_empty() {
            let message = "nobody announces it".to_owned();
            findings.push(found(FindingSeverity::Pass, "BGP_NOT_ANNOUNCED", message));
        } else {
            let visibility = seen
                .visibility
                .map(|visibility| format!(", seen by {} of {} peers", visibility.seeing, visibility.total));
            let message = format!("{} announces it{}", list(&all), visibility.unwrap_or_default());
            findings.push(found(FindingSeverity::Pass, "BGP_ORIGIN_SEEN", message));
        }
        let more_specifics = seen.more_specifics.iter().flatten();
        let foreign: Vec<&Route> = more_specifics.filter(|route| Some(route.origin) != origin).collect();
        if !foreign.is_empty() {
            let shown: Vec<String> = foreign.iter().take(3).map(ToString::to_string).collect();
            findings.push(conflict(
                "BGP_MORE_SPECIFICS",
                format!("others announce {} more-specifics inside it: {}", foreign.len(), shown.join(", ")),
                format!("Ask {holder} to have the more-specifics withdrawn: they draw your traffic away."),
            ));
        }
        let gaps = seen.gaps.iter();
        findings.extend(gaps.map(|gap| found(FindingSeverity::Note, "BGP_INCOMPLETE", gap.clone())));
        findings
    }
}

/// The first ASes and the number of the others.
fn list(asns: &[Asn]) -> String {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = asns.iter().take(SHOWN).map(ToString::to_string).collect();
    if asns.len() > SHOWN {
        shown.push(format!("and {} more", asns.len() - SHOWN));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Shown, at, lease, observed, review, shown};
    use super::*;
    use crate::bgp::ObservedOrigin;

    #[test]
    fn another_origin_and_foreign_more_specifics_are_reported_and_old_data_is_not_used() {
        let lease = lease();
        let origin = |asn: u32| ObservedOrigin { asn: Asn::try_from(asn).unwrap(), routes: None };
        let judged = |origins: &[u32], inside: &[u32], now: i64| -> Vec<Shown> {
            let inside = inside.iter().map(|asn| Route {
                prefix: "203.0.113.0/25".parse().unwrap(),
                origin: Asn::try_from(*asn).unwrap(),
            });
            let observation = RouteObservation {
                origins: origins.iter().copied().map(origin).collect(),
                visibility: None,
                more_specifics: Some(inside.collect()),
                less_specifics: None,
                gaps: vec![],
            };
            review(Some(&lease), false, |review| {
                review.bgp(lease.origin, &Ok(observed(observation)), at(now)).iter().map(shown).collect()
            })
        };
        let (pass, warning) = (FindingSeverity::Pass, FindingSeverity::Warning);
        let (nobody, holder) = (FindingActor::Nobody, FindingActor::Holder);
        assert_eq!(judged(&[], &[], 1_000), [(pass, "BGP_NOT_ANNOUNCED", nobody)]);
        assert_eq!(judged(&[64500], &[64500], 1_000), [(pass, "BGP_ORIGIN_SEEN", nobody)]);
        assert_eq!(judged(&[64500, 64501], &[], 1_000), [(warning, "BGP_OTHER_ORIGIN", holder)]);
        assert_eq!(judged(&[64500], &[64502], 1_000)[1], (warning, "BGP_MORE_SPECIFICS", holder));
        assert_eq!(judged(&[64500], &[], 2_000), [(warning, "BGP_STALE", nobody)]);
    }
}
