//! The preflight's finding about the reputation of the block.

use jiff::Timestamp;

use super::finding::{FindingActor, FindingSeverity, PreflightAspect, PreflightFinding};
use super::review::AnnouncementReview;
use crate::bgp;
use crate::model::{CouldNotCheck, Reputation, SourceFault, Verdict, VerdictState};

impl AnnouncementReview<'_> {
    /// Whether the blocklists list the block, by the verdict of the timed rounds.
    pub(super) fn reputation(
        &self,
        verdict: &Result<VerdictState, CouldNotCheck>,
        now: Timestamp,
    ) -> PreflightFinding {
        let aspect = PreflightAspect::Reputation;
        let (state, reputation) = match verdict {
            Ok(state @ VerdictState { verdict: Verdict::Reputation(reputation), .. }) => (state, *reputation),
            Ok(state) => {
                let other = format!("the recorded verdict is about {}", state.verdict.check());
                let could_not =
                    CouldNotCheck::from_source("blocklists", SourceFault::AnswerInvalid.failure(other));
                return self.unchecked(aspect, self.block, &could_not);
            }
            Err(could_not) => return self.unchecked_reputation(could_not),
        };
        let found = |severity, reason, message: String| PreflightFinding {
            source: state.source.clone(),
            observed: Some(state.observed),
            ..self.finding(aspect, severity, reason, message)
        };
        if bgp::is_stale(state.observed, now, self.settings.reputation_stale_after) {
            let failure =
                state.last_failure.as_ref().map_or(String::new(), |(reason, _)| format!("; {reason}"));
            let message =
                format!("was {reputation} at {} and could not be checked since{failure}", state.observed);
            return PreflightFinding {
                actor: FindingActor::Operator,
                advice: "Find out why the blocklists do not answer (leasehold status).".to_owned(),
                ..found(self.fault(aspect), "REPUTATION_STALE", message)
            };
        }
        match reputation {
            Reputation::Clean => match state.candidate {
                Some((Verdict::Reputation(latest), _)) if latest != Reputation::Clean => found(
                    FindingSeverity::Warning,
                    "REPUTATION_UNCONFIRMED",
                    format!("clean until now; the last check found {latest}, which is not confirmed yet"),
                ),
                _ => found(FindingSeverity::Pass, "REPUTATION_CLEAN", state.reason.clone()),
            },
            Reputation::Watch => found(FindingSeverity::Warning, "REPUTATION_WATCH", state.reason.clone()),
            Reputation::Listed => PreflightFinding {
                actor: FindingActor::Holder,
                advice: format!(
                    "Ask {} to have it delisted, or for another block: its reputation came with it (leasehold reputation {}).",
                    self.holder(),
                    self.block
                ),
                ..found(self.fault(aspect), "REPUTATION_LISTED", state.reason.clone())
            },
        }
    }

    /// Without a lease no timed round checks the block, so recording the lease is what helps.
    fn unchecked_reputation(&self, could_not: &CouldNotCheck) -> PreflightFinding {
        let finding = self.unchecked(PreflightAspect::Reputation, self.block, could_not);
        if self.lease.is_some() || could_not.is_not_configured() {
            return finding;
        }
        PreflightFinding { actor: FindingActor::Lessee, advice: self.advice_to_register(), ..finding }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{at, lease, reputation_state, review, shown};
    use super::*;
    use crate::model::RoaStatus;

    #[test]
    fn an_old_reputation_does_not_count() {
        let lease = lease();
        let judged = |state: VerdictState, now: i64| {
            review(Some(&lease), true, |review| shown(&review.reputation(&Ok(state), at(now))))
        };
        let (pass, warning, blocking) =
            (FindingSeverity::Pass, FindingSeverity::Warning, FindingSeverity::Blocking);
        let clean = reputation_state(Reputation::Clean);
        assert_eq!(judged(clean.clone(), 1_000), (pass, "REPUTATION_CLEAN", FindingActor::Nobody));
        assert_eq!(
            judged(reputation_state(Reputation::Watch), 1_000),
            (warning, "REPUTATION_WATCH", FindingActor::Nobody)
        );
        assert_eq!(
            judged(reputation_state(Reputation::Listed), 1_000),
            (blocking, "REPUTATION_LISTED", FindingActor::Holder)
        );
        assert_eq!(judged(clean.clone(), 2_000), (blocking, "REPUTATION_STALE", FindingActor::Operator));
        let candidate =
            VerdictState { candidate: Some((Verdict::Reputation(Reputation::Listed), 1)), ..clean.clone() };
        assert_eq!(judged(candidate, 1_000), (warning, "REPUTATION_UNCONFIRMED", FindingActor::Nobody));
        let other = VerdictState { verdict: Verdict::Roa(RoaStatus::Valid), ..clean };
        assert_eq!(judged(other, 1_000).0, blocking);
    }
}
