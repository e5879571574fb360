//! Decides when an observed verdict replaces the current one, so that a flapping source raises no events. Pure.
//!
//! The first observation of a block becomes its verdict and is not an event. After that, a different verdict must be observed
//! several times in a row before it replaces the current one, and one observation of the current verdict starts the count
//! again. A check without an answer changes nothing but `last_failure`.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{Prefix, Verdict, VerdictChange, VerdictState};

/// The answer of one check of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictObservation {
    /// The block, origin and lease that the verdict applies to. Verdicts with different texts here are not compared.
    pub about: String,
    pub verdict: Verdict,
    /// The explanation that people read.
    pub reason: String,
    /// The names of the sources that answered.
    pub source: String,
    /// The time of the source's data, not of the question.
    pub observed: Timestamp,
}

/// The state of a block's verdict after an observation. A different verdict replaces the current one when it was observed
/// `confirmations` times in a row; the returned state then carries the change as `unpublished`.
pub fn observe(
    current: Option<&VerdictState>,
    prefix: &Arc<Prefix>,
    observation: VerdictObservation,
    confirmations: u32,
) -> VerdictState {
    let VerdictObservation { about, verdict, reason, source, observed } = observation;
    let replaced_since = |since| VerdictState {
        about: about.clone(),
        verdict,
        since,
        observed,
        reason: reason.clone(),
        source: source.clone(),
        candidate: None,
        last_failure: None,
        unpublished: None,
    };
    let Some(current) = current.filter(|current| current.about == about) else {
        return replaced_since(observed);
    };
    // Two sources can disagree because one has older data: then the newer data decides.
    if observed < current.observed && source != current.source {
        return VerdictState { last_failure: None, ..current.clone() };
    }
    if current.verdict == verdict {
        return replaced_since(current.since);
    }
    let times = match current.candidate {
        Some((candidate, times)) if candidate == verdict => times.saturating_add(1),
        _ => 1,
    };
    if times < confirmations {
        return VerdictState { candidate: Some((verdict, times)), last_failure: None, ..current.clone() };
    }
    let change = VerdictChange {
        prefix: prefix.clone(),
        before: current.verdict,
        before_since: current.since,
        after: verdict,
        reason: reason.clone(),
        source: source.clone(),
        observed,
    };
    VerdictState { unpublished: Some(change), ..replaced_since(observed) }
}

/// The state of a block's verdict after a check without an answer. The verdict and a candidate to replace it stay.
pub fn record_failure(current: &VerdictState, reason: String, at: Timestamp) -> VerdictState {
    VerdictState { last_failure: Some((reason, at)), ..current.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PrefixId, RoaStatus, VrfScope};
    use proptest::prelude::*;

    const VALID: Verdict = Verdict::Roa(RoaStatus::Valid);
    const INVALID: Verdict = Verdict::Roa(RoaStatus::Invalid);
    const UNKNOWN: Verdict = Verdict::Roa(RoaStatus::Unknown);

    fn observation(verdict: Verdict, second: i64) -> VerdictObservation {
        let observed = Timestamp::from_second(second).unwrap();
        VerdictObservation {
            about: "a".into(),
            verdict,
            reason: String::new(),
            source: "test".into(),
            observed,
        }
    }

    fn after(
        current: Option<&VerdictState>,
        observation: VerdictObservation,
        confirmations: u32,
    ) -> VerdictState {
        let block = Prefix::bare(PrefixId(1), "203.0.113.0/24".parse().unwrap(), VrfScope::Global);
        observe(current, &Arc::new(block), observation, confirmations)
    }

    fn change_of(state: &VerdictState) -> Option<(Verdict, Verdict)> {
        state.unpublished.as_ref().map(|change| (change.before, change.after))
    }

    /// The changes that a series of observations produces.
    fn changes(verdicts: &[Verdict], confirmations: u32) -> Vec<(Verdict, Verdict)> {
        let (mut current, mut changes) = (None, Vec::new());
        for (second, verdict) in (0..).zip(verdicts) {
            let state = after(current.as_ref(), observation(*verdict, second), confirmations);
            changes.extend(change_of(&state));
            current = Some(VerdictState { unpublished: None, ..state });
        }
        changes
    }

    #[test]
    fn the_first_observation_is_a_baseline_and_no_change() {
        assert_eq!(changes(&[INVALID, INVALID, INVALID], 2), []);
    }

    #[test]
    fn a_flap_is_no_change_and_a_confirmed_change_is_published_once() {
        assert_eq!(changes(&[VALID, UNKNOWN, VALID, UNKNOWN, VALID], 2), []);
        assert_eq!(changes(&[VALID, UNKNOWN, INVALID, UNKNOWN, INVALID], 2), []);
        assert_eq!(
            changes(&[VALID, UNKNOWN, UNKNOWN, UNKNOWN, VALID, VALID], 2),
            [(VALID, UNKNOWN), (UNKNOWN, VALID)]
        );
        assert_eq!(changes(&[VALID, UNKNOWN], 1), [(VALID, UNKNOWN)]);
    }

    #[test]
    fn a_failure_leaves_the_verdict_and_its_time_as_they_are() {
        let current = after(None, observation(VALID, 10), 2);
        let failed = record_failure(&current, "no answer".into(), Timestamp::from_second(20).unwrap());
        assert_eq!(
            (failed.verdict, failed.observed, failed.since),
            (current.verdict, current.observed, current.since)
        );
        // A candidate survives a failed check.
        let candidate = after(Some(&failed), observation(UNKNOWN, 30), 2);
        let failed = record_failure(&candidate, "no answer".into(), Timestamp::from_second(40).unwrap());
        assert_eq!(change_of(&after(Some(&failed), observation(UNKNOWN, 50), 2)), Some((VALID, UNKNOWN)));
    }

    #[test]
    fn older_data_of_another_source_does_not_replace_newer() {
        let current = after(None, observation(VALID, 100), 1);
        let other = |second| VerdictObservation { source: "other".into(), ..observation(INVALID, second) };
        assert_eq!(change_of(&after(Some(&current), other(99), 1)), None);
        assert_eq!(change_of(&after(Some(&current), other(100), 1)), Some((VALID, INVALID)));
    }

    #[test]
    fn with_another_origin_or_lease_the_next_observation_is_a_baseline_again() {
        let current = after(None, observation(VALID, 1), 1);
        let moved =
            after(Some(&current), VerdictObservation { about: "b".into(), ..observation(INVALID, 2) }, 1);
        assert_eq!((change_of(&moved), moved.verdict, moved.about.as_str()), (None, INVALID, "b"));
    }

    proptest! {
        #[test]
        fn a_change_is_a_run_of_confirmations_of_another_verdict(
            verdicts in prop::collection::vec(prop::sample::select(vec![VALID, INVALID, UNKNOWN]), 1..60),
            confirmations in 1u32..4,
        ) {
            // A simpler model of the same rule: follow the runs of equal verdicts.
            let (mut current, mut expected) = (verdicts[0], Vec::new());
            let (mut run, mut length) = (verdicts[0], 0u32);
            for verdict in &verdicts {
                if *verdict == run { length += 1 } else { run = *verdict; length = 1 }
                if run != current && length >= confirmations {
                    expected.push((current, run));
                    current = run;
                }
            }
            prop_assert_eq!(changes(&verdicts, confirmations), expected);
        }
    }
}
