//! When a verdict takes the place of another. Pure.
//!
//! The first one seen is held and is no news. Another one has to be seen so many times in a row; one look at the verdict that
//! is held takes it back. A look without an answer changes nothing but that it is known to have failed.

use jiff::Timestamp;

use crate::model::{Standing, Verdict};

/// A verdict as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// What was seen.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
    /// Who said so.
    pub source: String,
    /// As of when.
    pub observed: Timestamp,
}

/// What a look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is held from now on.
    pub standing: Standing,
    /// What was held before, if that was another verdict: news.
    pub before: Option<Verdict>,
}

/// Takes a sighting up. `needed` is how often in a row a new verdict has to be seen.
pub fn see(held: Option<&Standing>, seen: Sighting, needed: u32) -> Step {
    let Sighting { verdict, reason, source, observed } = seen;
    let fresh = |since| Standing {
        verdict,
        since,
        observed,
        reason: reason.clone(),
        source: source.clone(),
        candidate: None,
        failure: None,
    };
    let Some(held) = held else { return Step { standing: fresh(observed), before: None } };
    // Of two sources the one with older data has nothing to say against the other.
    if observed < held.observed {
        return Step { standing: Standing { failure: None, ..held.clone() }, before: None };
    }
    if held.verdict == verdict {
        return Step { standing: fresh(held.since), before: None };
    }
    let times = match held.candidate {
        Some((candidate, times)) if candidate == verdict => times.saturating_add(1),
        _ => 1,
    };
    if times >= needed {
        Step { standing: fresh(observed), before: Some(held.verdict) }
    } else {
        let standing = Standing { candidate: Some((verdict, times)), failure: None, ..held.clone() };
        Step { standing, before: None }
    }
}

/// Notes that a look gave no answer: the verdict stands as it stood, and so does what was about to take its place.
pub fn fail(held: &Standing, why: String, at: Timestamp) -> Standing {
    Standing { failure: Some((why, at)), ..held.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RoaStatus;
    use proptest::prelude::*;

    const VALID: Verdict = Verdict::Roa(RoaStatus::Valid);
    const INVALID: Verdict = Verdict::Roa(RoaStatus::Invalid);
    const UNKNOWN: Verdict = Verdict::Roa(RoaStatus::Unknown);

    fn seen(verdict: Verdict, second: i64) -> Sighting {
        let observed = Timestamp::from_second(second).unwrap();
        Sighting { verdict, reason: String::new(), source: "test".into(), observed }
    }

    /// The news of a run of looks.
    fn news(looks: &[Verdict], needed: u32) -> Vec<(Verdict, Verdict)> {
        let (mut held, mut news) = (None, Vec::new());
        for (second, verdict) in (0..).zip(looks) {
            let step = see(held.as_ref(), seen(*verdict, second), needed);
            news.extend(step.before.map(|before| (before, step.standing.verdict)));
            held = Some(step.standing);
        }
        news
    }

    #[test]
    fn the_first_look_is_a_baseline_and_no_news() {
        assert_eq!(news(&[INVALID, INVALID, INVALID], 2), []);
    }

    #[test]
    fn a_flap_is_no_news_and_a_confirmed_change_is_told_once() {
        assert_eq!(news(&[VALID, UNKNOWN, VALID, UNKNOWN, VALID], 2), []);
        assert_eq!(news(&[VALID, UNKNOWN, INVALID, UNKNOWN, INVALID], 2), []);
        assert_eq!(
            news(&[VALID, UNKNOWN, UNKNOWN, UNKNOWN, VALID, VALID], 2),
            [(VALID, UNKNOWN), (UNKNOWN, VALID)]
        );
        assert_eq!(news(&[VALID, UNKNOWN], 1), [(VALID, UNKNOWN)]);
    }

    #[test]
    fn a_failure_leaves_the_verdict_and_its_time_as_they_are() {
        let held = see(None, seen(VALID, 10), 2).standing;
        let failed = fail(&held, "no answer".into(), Timestamp::from_second(20).unwrap());
        assert_eq!(
            (failed.verdict, failed.observed, failed.since),
            (held.verdict, held.observed, held.since)
        );
        // What is about to change survives a look that failed.
        let about = see(Some(&failed), seen(UNKNOWN, 30), 2).standing;
        let failed = fail(&about, "no answer".into(), Timestamp::from_second(40).unwrap());
        assert_eq!(see(Some(&failed), seen(UNKNOWN, 50), 2).before, Some(VALID));
    }

    #[test]
    fn older_data_says_nothing_against_newer() {
        let held = see(None, seen(VALID, 100), 1).standing;
        assert_eq!(see(Some(&held), seen(INVALID, 99), 1).before, None);
        assert_eq!(see(Some(&held), seen(INVALID, 100), 1).before, Some(VALID));
    }

    proptest! {
        #[test]
        fn news_is_told_when_a_verdict_was_seen_so_often_in_a_row_and_differs(
            looks in prop::collection::vec(prop::sample::select(vec![VALID, INVALID, UNKNOWN]), 1..60),
            needed in 1u32..4,
        ) {
            // The plain model: walk the runs of equal verdicts.
            let (mut held, mut expected) = (looks[0], Vec::new());
            let (mut run, mut length) = (looks[0], 0u32);
            for look in &looks {
                if *look == run { length += 1 } else { run = *look; length = 1 }
                if run != held && length >= needed {
                    expected.push((held, run));
                    held = run;
                }
            }
            prop_assert_eq!(news(&looks, needed), expected);
        }
    }
}
