//! What the protocol promises whatever is observed.

use super::*;
use proptest::prelude::*;

const LIMIT: Duration = Duration::from_mins(2);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn observed<T: Clone + std::fmt::Debug + 'static>(values: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(values)
}

const ANSWERS: [NetBoxReply; 6] = [
    NetBoxReply::Created,
    NetBoxReply::Contended,
    NetBoxReply::Exists,
    NetBoxReply::Refused,
    NetBoxReply::Failed,
    NetBoxReply::Unclear,
];
const FOUND: [Found; 3] = [Found::All, Found::Nothing, Found::Unknown];
const VERDICTS: [Verification; 3] = [Verification::Clean, Verification::Objection, Verification::Unread];

/// A world that keeps book of what the protocol may know.
#[derive(Clone, Debug)]
struct Observed {
    answer: NetBoxReply,
    found: Found,
    verdict: Verification,
    deleted: bool,
    repetition: Repetition,
    seconds: i64,
}

fn any_observation() -> impl Strategy<Value = Observed> {
    (
        observed(&ANSWERS),
        observed(&FOUND),
        observed(&VERDICTS),
        any::<bool>(),
        observed(&[Repetition::Harmless, Repetition::Doubles]),
        0i64..100,
    )
        .prop_map(|(answer, found, verdict, deleted, repetition, seconds)| Observed {
            answer,
            found,
            verdict,
            deleted,
            repetition,
            seconds,
        })
}

enum Now {
    Plan(NotSent),
    Ask(MaybeWritten),
    Verify(Written),
    Withdraw(Withdrawing),
    End(End),
    Done,
}

proptest! {
    /// Whatever is observed, the protocol ends; and it says that nothing is in NetBox only if every request was answered or
    /// can no longer arrive, and sends nothing twice that would be carried out twice.
    #[test]
    fn a_refusal_means_that_nothing_is_under_way(
        observations in prop::collection::vec(any_observation(), 60),
        resumed in prop::option::of(0i64..100),
    ) {
        // The sending times of requests that were never answered.
        let mut open: Vec<i64> = resumed.into_iter().collect();
        let mut now = match resumed {
            Some(second) => Now::Ask(MaybeWritten::resumed(Some(at(second)))),
            None => Now::Plan(NotSent::new()),
        };
        let mut clock = 100;
        let mut may_repeat = true;
        for seen in &observations {
            clock += seen.seconds;
            let under_way = |open: &[i64]| open.iter().any(|sent| sent + 120 > clock);
            now = match now {
                Now::Plan(state) => {
                    prop_assert!(may_repeat || !under_way(&open), "sent again while a request may be under way");
                    let before = state.progress().unanswered;
                    let sent = state.sent(at(clock));
                    if seen.answer == NetBoxReply::Unclear {
                        open.push(clock);
                    }
                    match sent.answered(seen.answer, before) {
                        AfterAnswer::Verify(state) => Now::Verify(state),
                        AfterAnswer::Ask(state) => Now::Ask(state),
                        AfterAnswer::PlanAnew(state) => {
                            may_repeat = true;
                            Now::Plan(state)
                        }
                        AfterAnswer::End(end) => Now::End(end),
                    }
                }
                Now::Ask(state) => match state.asked(seen.found, seen.repetition, at(clock), LIMIT) {
                    AfterQuestion::Verify(state) => Now::Verify(state),
                    AfterQuestion::Plan(state) => {
                        may_repeat = seen.repetition == Repetition::Harmless;
                        Now::Plan(state)
                    }
                    AfterQuestion::End(end) => Now::End(end),
                },
                Now::Verify(state) => match state.verified(seen.verdict) {
                    AfterVerification::Record(_) => Now::Done,
                    AfterVerification::Withdraw(state) => Now::Withdraw(state),
                    AfterVerification::End(end) => Now::End(end),
                },
                Now::Withdraw(state) => {
                    let deletion = if seen.deleted { Deletion::Proven } else { Deletion::Unproven };
                    match state.deleted(deletion) {
                        AfterWithdrawal::PlanAnew(state) => {
                            may_repeat = true;
                            Now::Plan(state)
                        }
                        AfterWithdrawal::End(end) => Now::End(end),
                    }
                }
                Now::End(End::Refused(progress)) => {
                    prop_assert_eq!(progress.unanswered, None);
                    prop_assert!(!under_way(&open) || resumed.is_none() && open.is_empty(),
                        "refused while a request of {open:?} may be under way at {clock}");
                    return Ok(());
                }
                Now::End(_) | Now::Done => return Ok(()),
            };
        }
        prop_assert!(matches!(now, Now::Done | Now::End(_)), "the protocol did not end");
    }
}

#[test]
fn a_definite_refusal_after_an_unanswered_request_is_unsettled() {
    let sent = NotSent::new().sent(at(0));
    let AfterAnswer::Ask(state) = sent.answered(NetBoxReply::Unclear, None) else { panic!() };
    let AfterQuestion::Plan(state) = state.asked(Found::Nothing, Repetition::Harmless, at(1), LIMIT) else {
        panic!()
    };
    let before = state.progress().unanswered;
    assert_eq!(before, Some(at(0)));
    let after = state.sent(at(2)).answered(NetBoxReply::Refused, before);
    assert!(matches!(after, AfterAnswer::End(End::Unsettled(_))), "{after:?}");
}

#[test]
fn what_would_be_carried_out_twice_is_sent_again_only_after_the_request_limit() {
    let resumed = MaybeWritten::resumed(Some(at(0)));
    let within = resumed.asked(Found::Nothing, Repetition::Doubles, at(119), LIMIT);
    assert!(matches!(within, AfterQuestion::End(End::Unsettled(_))), "{within:?}");
    let after = resumed.asked(Found::Nothing, Repetition::Doubles, at(120), LIMIT);
    assert!(matches!(after, AfterQuestion::Plan(_)), "{after:?}");
}

#[test]
fn a_failure_that_netbox_answers_is_refused_once_the_record_is_known_to_be_absent() {
    let AfterAnswer::Ask(state) = NotSent::new().sent(at(0)).answered(NetBoxReply::Failed, None) else {
        panic!()
    };
    let after = state.asked(Found::Nothing, Repetition::Doubles, at(0), LIMIT);
    assert!(matches!(after, AfterQuestion::End(End::Refused(_))), "{after:?}");
    assert!(matches!(state.asked(Found::All, Repetition::Doubles, at(0), LIMIT), AfterQuestion::Verify(_)));
}
