//! The time before the event log, put together from NetBox's change log and what the event log kept of an older time. Pure.
//!
//! The event log may hold a change that NetBox's change log holds too: an event that was recorded after the log began can be about a
//! change before that, and a log that had to begin anew keeps its old events. Each such change is shown once, as the event.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::history_position::{EarlierEntry, EarlierSource};
use crate::model::{DomainEvent, Event, Revision, Subject};

/// An entry of NetBox's change log as an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LoggedByNetBox {
    /// The id of the entry.
    pub(super) entry: u64,
    /// The id of the prefix or the address.
    pub(super) object: u64,
    pub(super) domain_event: DomainEvent,
}

/// An event of the history of an address.
#[derive(Clone, Debug, PartialEq)]
pub enum HistoryEvent {
    /// It is in the event log.
    Recorded(Event),
    /// Only NetBox's change log has it.
    OfNetBox(DomainEvent),
}

/// The events of the time before `until`, the newest first: those of `events` up to the sequence `last`, and the changes of NetBox
/// that none of `events` is about. `changes` are all changes that NetBox knows of, in the order of its change log.
pub(super) fn earlier(
    events: &[Event],
    last: u64,
    changes: Vec<LoggedByNetBox>,
    until: Timestamp,
) -> BTreeMap<EarlierEntry, HistoryEvent> {
    let covered = covered(events, &changes);
    let of_netbox = changes
        .into_iter()
        .filter(|change| change.domain_event.time < until && !covered.contains(&change.entry));
    let of_netbox = of_netbox.map(|change| {
        let time = change.domain_event.time.as_microsecond();
        let entry = EarlierEntry { time, source: EarlierSource::NetBox, number: change.entry };
        (entry, HistoryEvent::OfNetBox(change.domain_event))
    });
    let of_log = events.iter().filter(|event| event.sequence <= last).map(|event| {
        let time = event.domain_event.time.as_microsecond();
        let entry = EarlierEntry { time, source: EarlierSource::Log, number: event.sequence };
        (entry, HistoryEvent::Recorded(event.clone()))
    });
    of_netbox.chain(of_log).collect()
}

/// Whether a record is a prefix, and its id.
type RecordKey = (bool, u64);

/// The state of a record before or after a change.
enum State {
    /// There is no record.
    None,
    /// NetBox last changed it at this instant, or the instant is not known.
    Revision(Option<Timestamp>),
}

/// The entries of NetBox's change log that the events are about. Two changes between two polls are one event, so an event may cover
/// several entries of its record.
fn covered(events: &[Event], changes: &[LoggedByNetBox]) -> BTreeSet<u64> {
    let mut of_record: BTreeMap<RecordKey, Vec<&LoggedByNetBox>> = BTreeMap::new();
    for change in changes {
        let is_prefix = matches!(change.domain_event.subject, Subject::Prefix(_));
        of_record.entry((is_prefix, change.object)).or_default().push(change);
    }
    let mut covered = BTreeSet::new();
    for event in events {
        let Some((record, before, after)) = record_change(&event.domain_event) else { continue };
        let Some(entries) = of_record.get(&record) else { continue };
        // NetBox stamps a record, and an instant later the entry: the entry of a state is the first one that is not older than the
        // revision of the state.
        let made = |revision: Timestamp| entries.partition_point(|made| made.domain_event.time < revision);
        let to = match after {
            State::None => entries.len(),
            State::Revision(Some(revision)) => (made(revision) + 1).min(entries.len()),
            State::Revision(None) => continue,
        };
        let from = match before {
            State::None => 0,
            State::Revision(Some(revision)) => {
                let at = made(revision);
                // If NetBox no longer has the entry of the state before, the first one that it has is that of a later state.
                let later = entries.get(at).is_some_and(|made| match after {
                    State::Revision(Some(after)) => revision < after && made.domain_event.time >= after,
                    State::Revision(None) => false,
                    State::None => is_deletion(&made.domain_event),
                });
                if later { at } else { at + 1 }
            }
            State::Revision(None) => to.saturating_sub(1),
        };
        covered.extend(entries.get(from..to).unwrap_or_default().iter().map(|made| made.entry));
    }
    covered
}

fn is_deletion(event: &DomainEvent) -> bool {
    match &event.subject {
        Subject::Prefix(change) => change.after.is_none(),
        Subject::Address(change) => change.after.is_none(),
        Subject::Term(_) | Subject::Verdict(_) | Subject::Sync(_) | Subject::Completion(_) => false,
    }
}

/// The record that an event is about, and its states; `None` for an event that is not about a change of a record.
fn record_change(event: &DomainEvent) -> Option<(RecordKey, State, State)> {
    let state = |revision: Option<&Revision>| match revision {
        None => State::None,
        Some(revision) => State::Revision(revision.instant()),
    };
    match &event.subject {
        Subject::Prefix(change) => Some((
            (true, change.latest()?.id.0),
            state(change.before.as_ref().map(|prefix| &prefix.revision)),
            state(change.after.as_ref().map(|prefix| &prefix.revision)),
        )),
        Subject::Address(change) => Some((
            (false, change.latest()?.id.0),
            state(change.before.as_ref().map(|address| &address.revision)),
            state(change.after.as_ref().map(|address| &address.revision)),
        )),
        Subject::Term(_) | Subject::Verdict(_) | Subject::Sync(_) | Subject::Completion(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Prefix, PrefixId, RecordChange, VrfScope};

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_microsecond(1_800_000_000_000_000 + micros).unwrap()
    }

    /// A record after its change with this number, which NetBox made at `revision`; NetBox's change log leaves the revision out.
    fn prefix(id: u64, change: usize, revision: Option<i64>) -> Arc<Prefix> {
        let bare = Prefix::bare(PrefixId(id), "203.0.113.0/24".parse().unwrap(), VrfScope::Global);
        let revision = Revision(revision.map(at));
        Arc::new(Prefix { description: change.to_string(), revision, ..bare })
    }

    /// The changes of a record that an event or an entry shows, by their numbers.
    fn shown(event: &DomainEvent) -> (u64, Vec<usize>) {
        let Subject::Prefix(change) = &event.subject else { panic!("not about a prefix") };
        let number = |prefix: &Arc<Prefix>| prefix.description.parse::<usize>().unwrap();
        let from = change.before.as_ref().map_or(0, |prefix| number(prefix) + 1);
        let to = change.after.as_ref().map_or(from.max(1000), number);
        (change.latest().unwrap().id.0, (from..=to).collect())
    }

    /// Three records that change; a server that polls, has lost what it knew for a while, and begins its log anew.
    fn case() -> impl Strategy<Value = (Vec<u64>, Vec<bool>, usize, usize)> {
        (
            prop::collection::vec(1u64..4, 1..40),
            prop::collection::vec(any::<bool>(), 40),
            0usize..40,
            0usize..40,
        )
    }

    proptest! {
        #[test]
        fn every_change_is_shown_once_whichever_log_has_it((changes, polls, lost, begun) in case()) {
            let begun = lost + begun;
            let (mut entries, mut events) = (Vec::new(), Vec::new());
            let mut numbers: BTreeMap<u64, usize> = BTreeMap::new();
            // Of each record the state that the server knows, and the state now.
            let mut known: BTreeMap<u64, Arc<Prefix>> = BTreeMap::new();
            let mut now: BTreeMap<u64, Arc<Prefix>> = BTreeMap::new();
            let mut until = at(0);
            for (nth, record) in changes.iter().enumerate() {
                let (second, number) = (i64::try_from(nth).unwrap() * 100, numbers.entry(*record).or_default());
                let before = now.get(record).cloned().map(|_| prefix(*record, *number - 1, None));
                let after = Some(prefix(*record, *number, None));
                // NetBox writes the entry two microseconds after the record.
                let change = RecordChange { before, after };
                let domain_event = DomainEvent::prefix(change, None, at(second + 2));
                let entry = u64::try_from(nth).unwrap() + 1;
                entries.push(LoggedByNetBox { entry, object: *record, domain_event });
                now.insert(*record, prefix(*record, *number, Some(second)));
                *number += 1;
                if nth < lost && polls[nth] || nth > begun {
                    for (id, state) in &now {
                        let before = known.insert(*id, state.clone());
                        if before.as_ref() != Some(state) {
                            let change = RecordChange { before, after: Some(state.clone()) };
                            let domain_event = DomainEvent::prefix(change, None, at(second + 50));
                            let sequence = u64::try_from(events.len()).unwrap() + 1;
                            events.push(Event { sequence, recorded: at(second + 50), domain_event });
                        }
                    }
                }
                if nth == begun {
                    // A full pass: the server knows everything, and no event says so.
                    known.clone_from(&now);
                    until = at(second + 60);
                }
            }
            if until == at(0) {
                until = at(1_000_000);
            }
            let last = events.iter().filter(|event| event.recorded < until).map(|event| event.sequence).max();
            let older = earlier(&events, last.unwrap_or(0), entries.clone(), until);
            let mut seen: BTreeMap<(u64, usize), usize> = BTreeMap::new();
            let later = events.iter().filter(|event| Some(event.sequence) > last).map(|event| &event.domain_event);
            let older = older.values().map(|event| match event {
                HistoryEvent::Recorded(event) => &event.domain_event,
                HistoryEvent::OfNetBox(event) => event,
            });
            for event in later.chain(older) {
                let (record, numbers) = shown(event);
                for number in numbers {
                    *seen.entry((record, number)).or_default() += 1;
                }
            }
            let all: BTreeMap<(u64, usize), usize> = numbers.iter()
                .flat_map(|(record, count)| (0..*count).map(|number| ((*record, number), 1))).collect();
            prop_assert_eq!(seen, all);
        }
    }

    #[test]
    fn a_deletion_that_both_logs_have_is_shown_once() {
        let gone = |revision| RecordChange { before: Some(prefix(7, 0, revision)), after: None };
        let entry = |entry, change, time| {
            let domain_event = DomainEvent { time: at(time), ..DomainEvent::prefix(change, None, at(time)) };
            LoggedByNetBox { entry, object: 7, domain_event }
        };
        let created = RecordChange { before: None, after: Some(prefix(7, 0, None)) };
        let deleted = Event {
            sequence: 1,
            recorded: at(300),
            domain_event: DomainEvent::prefix(gone(Some(100)), Some(at(202)), at(300)),
        };
        let events = std::slice::from_ref(&deleted);
        let changes = vec![entry(1, created, 102), entry(2, gone(None), 202)];
        let numbers = |changes: Vec<LoggedByNetBox>| -> Vec<u64> {
            earlier(events, 0, changes, at(250)).into_keys().map(|entry| entry.number).collect()
        };
        assert_eq!(numbers(changes.clone()), [1]);
        // NetBox has pruned the creation.
        assert_eq!(numbers(changes[1..].to_vec()), Vec::<u64>::new());
    }
}
