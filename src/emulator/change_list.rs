//! Lists of change-log entries.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::change_log::LoggedChange;
use super::query::{PageParameters, QueryPairs, every, first, lowest_id, page};
use super::render;
use super::state::EmulatorState;

/// A page of the change log; an error is the body of a 400.
pub(super) fn list(state: &EmulatorState, query: &QueryPairs) -> Result<Value, Value> {
    let pages = PageParameters::read(query, state.older)?;
    let fields = first(query, "fields");
    let show = |entry| render::select_fields(render::change(entry), fields);
    let from = pages.start.or(lowest_id(query)?).unwrap_or(0);
    let filter = ChangeFilter::read(query)?;
    let matching = || state.change_log.starting_at(from).filter(|entry| filter.matches(entry));
    let count = matching().count();
    let in_order = first(query, "ordering") == Some("id") || pages.start.is_some();
    let rows: Vec<Value> = if in_order {
        matching().take(pages.limit).map(show).collect()
    } else {
        // Without an ordering, NetBox lists the newest entries first.
        matching().rev().take(pages.limit).map(show).collect()
    };
    let total = pages.start.is_none().then_some(count);
    Ok(page(total, rows.len() < count, &rows))
}

/// The filters of the change log. An entry matches if it matches all of them; the values of one are alternatives.
struct ChangeFilter<'a> {
    object_types: Vec<&'a str>,
    object_ids: Vec<&'a str>,
    reprs: Vec<&'a str>,
    repr_starts: Vec<&'a str>,
    time_after: Option<Timestamp>,
    /// Text that the name of the record or the message contains, in whatever case.
    search: Option<&'a str>,
}

impl<'a> ChangeFilter<'a> {
    fn read(query: &'a QueryPairs) -> Result<Self, Value> {
        let time_after = match first(query, "time_after") {
            None => None,
            Some(text) => {
                Some(text.parse().map_err(|_| json!({ "time_after": ["Enter a valid date/time."] }))?)
            }
        };
        Ok(Self {
            object_types: every(query, "changed_object_type"),
            object_ids: every(query, "changed_object_id"),
            reprs: every(query, "object_repr"),
            repr_starts: every(query, "object_repr__isw"),
            time_after,
            search: first(query, "q"),
        })
    }

    fn matches(&self, entry: &LoggedChange) -> bool {
        let any_of = |values: &[&str], fits: &dyn Fn(&str) -> bool| {
            values.is_empty() || values.iter().any(|value| fits(value))
        };
        let repr = entry.object_repr.to_lowercase();
        any_of(&self.object_types, &|value| entry.kind.object_type() == value)
            && any_of(&self.object_ids, &|value| value.parse() == Ok(entry.object_id))
            && any_of(&self.reprs, &|value| entry.object_repr == value)
            && any_of(&self.repr_starts, &|value| repr.starts_with(&value.to_lowercase()))
            && self.time_after.is_none_or(|after| entry.time >= after)
            && self.search.is_none_or(|text| {
                let text = text.to_lowercase();
                repr.contains(&text) || entry.message.to_lowercase().contains(&text)
            })
    }
}
