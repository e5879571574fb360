//! Lists of tables whose `kind` decides which keys they have: `[[notify.sinks]]` and `[[rpki.sources]]`.

use toml::{Table, Value};

use super::error::Problems;

/// Takes a list out of a section whose entries have a `kind`, and returns each entry with its full key.
///
/// The kind decides which other keys an entry has. Serde decodes such an enum from a copy, and loses which key was wrong.
pub(super) fn take_entries(
    table: &mut Table,
    section: &str,
    list: &str,
    problems: &mut Problems,
) -> Vec<(String, Table)> {
    let Some(Value::Table(section_table)) = table.get_mut(section) else { return Vec::new() };
    let mut taken = Vec::new();
    match section_table.remove(list) {
        None => {}
        Some(Value::Array(entries)) => {
            for (index, entry) in entries.into_iter().enumerate() {
                let at = format!("{section}.{list}[{index}]");
                match entry {
                    Value::Table(entry) => taken.push((at, entry)),
                    _ => problems.add(at, "is not a table"),
                }
            }
        }
        Some(_) => {
            problems.add(
                format!("{section}.{list}"),
                format!("is not a list of tables: write [[{section}.{list}]]"),
            );
        }
    }
    taken
}

/// Takes the `kind` out of an entry and checks it.
pub(super) fn take_kind(
    entry: &mut Table,
    at: &str,
    kinds: &[&'static str],
    problems: &mut Problems,
) -> Option<&'static str> {
    let kind = entry.remove("kind");
    let known =
        kind.as_ref().and_then(Value::as_str).and_then(|kind| kinds.iter().find(|known| **known == kind));
    if known.is_none() {
        let given = kind.map_or("is required".to_owned(), |kind| format!("{kind} is not a kind"));
        problems.add(format!("{at}.kind"), format!("{given}; expected one of {}", kinds.join(", ")));
    }
    known.copied()
}
