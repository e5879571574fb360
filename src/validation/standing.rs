//! When a verdict takes the place of another. Pure.
//!
//! The first one seen is held and is no news. Another one has to be seen so many times in a row; one look at the verdict that
//! is held takes it back. A look without an answer changes nothing but that it is known to have failed.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{Prefix, Standing, Verdict, VerdictChange};

/// A verdict as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// What it is a verdict on: what is held of anything else is another matter.
    pub about: String,
    /// What was seen.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
    /// Who said so.
    pub source: String,
    /// As of when.
    pub observed: Timestamp,
}

/// What is held after a look at a block. `needed` is how often in a row a new verdict has to be seen; when it was, the change
/// is `untold` in what comes of it.
pub fn see(held: Option<&Standing>, prefix: &Arc<Prefix>, seen: Sighting, needed: u32) -> Standing {
    let Sighting { about, verdict, reason, source, observed } = seen;
    let held = held.filter(|held| held.about == about);
    let fresh = |since| Standing {
        about: about.clone(),
        verdict,
        since,
        observed,
        reason: reason.clone(),
        source: source.clone(),
        candidate: None,
        failure: None,
        untold: None,
    };
    let Some(held) = held else { return fresh(observed) };
    // Of two sources the one with older data has nothing to say against the other.
    if observed < held.observed && source != held.source {
        return Standing { failure: None, ..held.clone() };
    }
    if held.verdict == verdict {
        return fresh(held.since);
    }
    let times = match held.candidate {
        Some((candidate, times)) if candidate == verdict => times.saturating_add(1),
        _ => 1,
    };
    if times < needed {
        return Standing { candidate: Some((verdict, times)), failure: None, ..held.clone() };
    }
    let change = VerdictChange {
        prefix: prefix.clone(),
        before: held.verdict,
        before_since: held.since,
        after: verdict,
        reason: reason.clone(),
        source: source.clone(),
        observed,
    };
    Standing { untold: Some(change), ..fresh(observed) }
}

/// Notes that a look gave no answer: the verdict stands as it stood, and so does what was about to take its place.
pub fn fail(held: &Standing, why: String, at: Timestamp) -> Standing {
    Standing { failure: Some((why, at)), ..held.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PrefixId, RoaStatus, Table};
    use proptest::prelude::*;

    const VALID: Verdict = Verdict::Roa(RoaStatus::Valid);
    const INVALID: Verdict = Verdict::Roa(RoaStatus::Invalid);
    const UNKNOWN: Verdict = Verdict::Roa(RoaStatus::Unknown);

    fn seen(verdict: Verdict, second: i64) -> Sighting {
        let observed = Timestamp::from_second(second).unwrap();
        Sighting { about: "a".into(), verdict, reason: String::new(), source: "test".into(), observed }
    }

    fn block() -> Arc<Prefix> {
        Arc::new(Prefix::bare(PrefixId(1), "203.0.113.0/24".parse().unwrap(), Table::Global))
    }

    fn look(held: Option<&Standing>, seen: Sighting, needed: u32) -> Standing {
        see(held, &block(), seen, needed)
    }

    fn told(standing: &Standing) -> Option<(Verdict, Verdict)> {
        standing.untold.as_ref().map(|change| (change.before, change.after))
    }

    /// The news of a run of looks.
    fn news(looks: &[Verdict], needed: u32) -> Vec<(Verdict, Verdict)> {
        let (mut held, mut news) = (None, Vec::new());
        for (second, verdict) in (0..).zip(looks) {
            let standing = look(held.as_ref(), seen(*verdict, second), needed);
            news.extend(told(&standing));
            held = Some(Standing { untold: None, ..standing });
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
        let held = look(None, seen(VALID, 10), 2);
        let failed = fail(&held, "no answer".into(), Timestamp::from_second(20).unwrap());
        assert_eq!(
            (failed.verdict, failed.observed, failed.since),
            (held.verdict, held.observed, held.since)
        );
        // What is about to change survives a look that failed.
        let about = look(Some(&failed), seen(UNKNOWN, 30), 2);
        let failed = fail(&about, "no answer".into(), Timestamp::from_second(40).unwrap());
        assert_eq!(told(&look(Some(&failed), seen(UNKNOWN, 50), 2)), Some((VALID, UNKNOWN)));
    }

    #[test]
    fn older_data_of_another_source_says_nothing_against_newer() {
        let held = look(None, seen(VALID, 100), 1);
        let other = |second| Sighting { source: "other".into(), ..seen(INVALID, second) };
        assert_eq!(told(&look(Some(&held), other(99), 1)), None);
        assert_eq!(told(&look(Some(&held), other(100), 1)), Some((VALID, INVALID)));
    }

    #[test]
    fn of_another_origin_or_lease_it_is_a_baseline_again() {
        let held = look(None, seen(VALID, 1), 1);
        let moved = look(Some(&held), Sighting { about: "b".into(), ..seen(INVALID, 2) }, 1);
        assert_eq!((told(&moved), moved.verdict, moved.about.as_str()), (None, INVALID, "b"));
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
