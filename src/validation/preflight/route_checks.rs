//! The preflight's findings about the routes that are to be announced: their ROAs and their route objects.

use super::finding::{FindingActor, FindingSeverity, PreflightAspect, PreflightFinding};
use super::review::AnnouncementReview;
use crate::irr::{IrrState, IrrVerdict};
use crate::model::{CouldNotCheck, InvalidReason, Observed, Route, RouteState, RouteVerdict};
use crate::validation::reasons;

/// The reason of a finding about a ROA that authorises the route, and more-specific ones that nobody announces (RFC 9319).
const LOOSE_MAX_LENGTH: &str = "ROA_MAX_LENGTH_LOOSE";

impl AnnouncementReview<'_> {
    /// The findings if neither the request nor the lease names the AS that is to announce the block.
    pub(super) fn origin_missing(&self) -> Vec<PreflightFinding> {
        [PreflightAspect::Roa, PreflightAspect::Irr]
            .map(|aspect| PreflightFinding {
                actor: FindingActor::Lessee,
                advice: format!(
                    "Record the AS that is to announce {}, or name it with --origin.",
                    self.block
                ),
                ..self.finding(
                    aspect,
                    self.fault(aspect),
                    "ORIGIN_MISSING",
                    "no origin is recorded, so no route can be checked",
                )
            })
            .into()
    }

    /// Whether the RPKI authorises a route, and no more than the route.
    pub(super) fn roa(
        &self,
        route: Route,
        answer: &Result<Observed<RouteVerdict>, CouldNotCheck>,
    ) -> Vec<PreflightFinding> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(could_not) => return vec![self.unchecked(PreflightAspect::Roa, route.prefix, could_not)],
        };
        let found = |severity, reason, message| PreflightFinding {
            prefix: route.prefix,
            source: answer.source.clone(),
            observed: Some(answer.time),
            ..self.finding(PreflightAspect::Roa, severity, reason, message)
        };
        let message = reasons::roa_reason(route, &answer.value);
        let fault = |reason, advice: String| PreflightFinding {
            actor: FindingActor::Holder,
            advice,
            ..found(self.fault(PreflightAspect::Roa), reason, message.clone())
        };
        let (holder, prefix, origin) = (self.holder(), route.prefix, route.origin);
        // RFC 9319, section 4: a ROA should authorise the announced prefixes and no longer ones.
        let roa =
            format!("a ROA for {prefix} with origin {origin} and no maxLength beyond /{}", prefix.length());
        match answer.value.state {
            RouteState::Valid => {
                let mut findings = vec![found(FindingSeverity::Pass, "ROA_VALID", message)];
                findings.extend(answer.value.loose_vrp().map(|loose| PreflightFinding {
                    actor: FindingActor::Holder,
                    advice: format!("Ask {holder} for {roa}, and to withdraw the one that authorises more."),
                    ..found(
                        FindingSeverity::Warning,
                        LOOSE_MAX_LENGTH,
                        format!(
                            "{loose} also authorises more-specifics: an attacker who forges {origin} can announce them (RFC 9319)"
                        ),
                    )
                }));
                findings
            }
            RouteState::NotFound => {
                vec![fault("ROA_MISSING", format!("Ask {holder} to create {roa}: only the holder can."))]
            }
            RouteState::Invalid(InvalidReason::Length) => {
                vec![fault(
                    "ROA_TOO_SHORT",
                    format!("Ask {holder} for {roa}, or do not announce a prefix of this length."),
                )]
            }
            RouteState::Invalid(InvalidReason::Origin) => {
                vec![fault(
                    "ROA_OTHER_ORIGIN",
                    format!("Ask {holder} for {roa} beside the one that names other origins."),
                )]
            }
            RouteState::Invalid(InvalidReason::As0) => {
                vec![fault("ROA_AS0", format!("Ask {holder} to withdraw the AS0 ROA and create {roa}."))]
            }
        }
    }

    /// Whether the IRR has a route object for a route. `roa` are the findings of [`Self::roa`] about the same route: an object
    /// that is hidden because of a bad ROA needs no advice of its own if a finding that is as severe asks for a better ROA.
    pub(super) fn irr(
        &self,
        route: Route,
        answer: &Result<Observed<IrrVerdict>, CouldNotCheck>,
        roa: &[PreflightFinding],
    ) -> PreflightFinding {
        let aspect = PreflightAspect::Irr;
        let answer = match answer {
            Ok(answer) => answer,
            Err(could_not) => return self.unchecked(aspect, route.prefix, could_not),
        };
        let (severity, reason) = match answer.value.state {
            IrrState::Registered if answer.value.authoritative => (FindingSeverity::Pass, "IRR_REGISTERED"),
            IrrState::Registered => (FindingSeverity::Pass, "IRR_REGISTERED_ELSEWHERE"),
            IrrState::OtherOrigin => (self.fault(aspect), "IRR_OTHER_ORIGIN"),
            IrrState::LessSpecific => (self.fault(aspect), "IRR_LESS_SPECIFIC_ONLY"),
            IrrState::Hidden => (self.fault(aspect), "IRR_HIDDEN"),
            IrrState::Absent => (self.fault(aspect), "IRR_MISSING"),
        };
        let (holder, prefix, origin) = (self.holder(), route.prefix, route.origin);
        let roa_advised = roa.iter().any(|finding| {
            finding.actor == FindingActor::Holder
                && finding.reason != LOOSE_MAX_LENGTH
                && finding.severity >= severity
        });
        let (actor, advice) = match answer.value.state {
            IrrState::Registered => (FindingActor::Nobody, String::new()),
            IrrState::Hidden if roa_advised => (FindingActor::Holder, String::new()),
            IrrState::Hidden => (
                FindingActor::Holder,
                format!("Ask {holder} to correct the ROA: the route object exists, but the ROA hides it."),
            ),
            IrrState::OtherOrigin | IrrState::LessSpecific | IrrState::Absent => (
                FindingActor::Holder,
                format!("Ask {holder} to register a route object: route {prefix}, origin {origin}."),
            ),
        };
        PreflightFinding {
            prefix,
            source: answer.source.clone(),
            observed: Some(answer.time),
            actor,
            advice,
            ..self.finding(aspect, severity, reason, reasons::irr_reason(route, &answer.value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{BLOCK, Shown, lease, observed, review, route, shown};
    use super::*;
    use crate::irr::RouteObject;
    use crate::model::Vrp;

    const PASS: FindingSeverity = FindingSeverity::Pass;
    const BLOCKING: FindingSeverity = FindingSeverity::Blocking;
    const NOBODY: FindingActor = FindingActor::Nobody;
    const HOLDER: FindingActor = FindingActor::Holder;

    fn roa(announced: &str, vrps: &[(&str, u8, u32)]) -> Vec<Shown> {
        let vrp = |(prefix, max_length, asn): &(&str, u8, u32)| {
            Vrp::new(prefix.parse().unwrap(), Some(*max_length), *asn).unwrap()
        };
        let route = route(announced);
        let verdict = RouteVerdict::validate(route, vrps.iter().map(vrp));
        let lease = lease();
        review(Some(&lease), true, |review| {
            review.roa(route, &Ok(observed(verdict))).iter().map(shown).collect()
        })
    }

    #[test]
    fn only_the_holder_can_correct_a_roa() {
        assert_eq!(roa(BLOCK, &[(BLOCK, 24, 64500)]), [(PASS, "ROA_VALID", NOBODY)]);
        assert_eq!(roa(BLOCK, &[]), [(BLOCKING, "ROA_MISSING", HOLDER)]);
        assert_eq!(roa(BLOCK, &[(BLOCK, 24, 64501)]), [(BLOCKING, "ROA_OTHER_ORIGIN", HOLDER)]);
        assert_eq!(roa(BLOCK, &[(BLOCK, 24, 0)]), [(BLOCKING, "ROA_AS0", HOLDER)]);
    }

    #[test]
    fn a_more_specific_is_judged_by_what_is_announced() {
        assert_eq!(roa("203.0.113.0/25", &[(BLOCK, 24, 64500)]), [(BLOCKING, "ROA_TOO_SHORT", HOLDER)]);
    }

    #[test]
    fn a_loose_max_length_is_a_warning_rfc_9319() {
        assert_eq!(
            roa(BLOCK, &[(BLOCK, 28, 64500)]),
            [(PASS, "ROA_VALID", NOBODY), (FindingSeverity::Warning, "ROA_MAX_LENGTH_LOOSE", HOLDER)]
        );
    }

    #[test]
    fn each_state_of_the_irr_has_its_finding() {
        let lease = lease();
        let judged = |state, authoritative| {
            let object = RouteObject { route: route(BLOCK), source: "RADB".into(), rpki_invalid: false };
            let verdict = IrrVerdict { state, authoritative, objects: vec![object], hidden: vec![] };
            review(Some(&lease), true, |review| shown(&review.irr(route(BLOCK), &Ok(observed(verdict)), &[])))
        };
        assert_eq!(judged(IrrState::Registered, true), (PASS, "IRR_REGISTERED", NOBODY));
        assert_eq!(judged(IrrState::Registered, false), (PASS, "IRR_REGISTERED_ELSEWHERE", NOBODY));
        assert_eq!(judged(IrrState::OtherOrigin, false), (BLOCKING, "IRR_OTHER_ORIGIN", HOLDER));
        assert_eq!(judged(IrrState::LessSpecific, false), (BLOCKING, "IRR_LESS_SPECIFIC_ONLY", HOLDER));
        assert_eq!(judged(IrrState::Hidden, false), (BLOCKING, "IRR_HIDDEN", HOLDER));
        assert_eq!(judged(IrrState::Absent, false), (BLOCKING, "IRR_MISSING", HOLDER));
    }
}
