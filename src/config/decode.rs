//! Decodes a table into the struct of a section, and reports every key that does not fit.
//!
//! Serde stops at the first error. [`decode`] therefore repeats: it records the error, removes the value that caused it, and
//! decodes again, until the rest fits. The removed keys get their defaults.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_path_to_error::{Deserializer, Path, Segment, Track};
use toml::{Table, Value};

use super::error::Problems;

/// One step from a table to a value in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathStep {
    Key(String),
    Index(usize),
}

/// Decodes a table whose keys begin with `at`. Every field of `T` must have a default.
///
/// Variables of the environment are text, and templates of files often quote every value. Where the setting is no text, such a
/// value is read as TOML (`30`, `[60, 30]`) or as a number (`.5`, `007`); a boolean may also be written as yes, on, 1, no, off or
/// 0.
pub(super) fn decode<T: DeserializeOwned + Default>(table: Table, at: &str, problems: &mut Problems) -> T {
    let mut root = Value::Table(table);
    // How many entries were removed from each list: the index of a later entry is higher in the file by this number.
    let mut removed: BTreeMap<Vec<PathStep>, usize> = BTreeMap::new();
    // The text of each variable that is not a string, and how many readings of it were tried.
    let mut readings: BTreeMap<Vec<PathStep>, (String, usize)> = BTreeMap::new();
    loop {
        let mut track = Track::new();
        let error = match T::deserialize(Deserializer::new(root.clone(), &mut track)) {
            Ok(decoded) => return decoded,
            Err(error) => error,
        };
        let path = steps(&track.path());
        let key = full_key(at, &path, &removed);
        let Some(value) = find(&mut root, &path) else {
            // Without a value to remove, the next attempt would fail in the same way.
            problems.add(key, explain(error.message()));
            return T::default();
        };
        // Templates and variables write every value as text.
        if value.is_str() && !is_unknown_field(error.message()) || readings.contains_key(&path) {
            let text = || value.as_str().unwrap_or_default().to_owned();
            let (text, tried) = readings.entry(path.clone()).or_insert_with(|| (text(), 0));
            let reading = [toml_value(text), number(text), boolean(text)].into_iter().flatten().nth(*tried);
            *tried += 1;
            if let Some(reading) = reading {
                *value = reading;
                continue;
            }
        }
        problems.add(key, explain(error.message()));
        remove(&mut root, &path);
        if let Some((PathStep::Index(_), list)) = path.split_last() {
            *removed.entry(list.to_vec()).or_default() += 1;
        }
    }
}

fn steps(path: &Path) -> Vec<PathStep> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(PathStep::Key(key.clone())),
            Segment::Seq { index } => Some(PathStep::Index(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// The key as the operator wrote it.
fn full_key(at: &str, path: &[PathStep], removed: &BTreeMap<Vec<PathStep>, usize>) -> String {
    let mut key = at.to_owned();
    for (depth, step) in path.iter().enumerate() {
        match step {
            PathStep::Key(name) if key.is_empty() => key.push_str(name),
            PathStep::Key(name) => key.push_str(&format!(".{name}")),
            PathStep::Index(index) => {
                let list = path.get(..depth).unwrap_or_default();
                let before = removed.get(list).copied().unwrap_or_default();
                key.push_str(&format!("[{}]", index + before));
            }
        }
    }
    key
}

fn find<'a>(root: &'a mut Value, path: &[PathStep]) -> Option<&'a mut Value> {
    if path.is_empty() {
        return None;
    }
    path.iter().try_fold(root, |value, step| match (value, step) {
        (Value::Table(table), PathStep::Key(name)) => table.get_mut(name),
        (Value::Array(entries), PathStep::Index(index)) => entries.get_mut(*index),
        _ => None,
    })
}

fn remove(root: &mut Value, path: &[PathStep]) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent = if parents.is_empty() { Some(root) } else { find(root, parents) };
    match (parent, last) {
        (Some(Value::Table(table)), PathStep::Key(name)) => {
            table.remove(name);
        }
        (Some(Value::Array(entries)), PathStep::Index(index)) if *index < entries.len() => {
            entries.remove(*index);
        }
        _ => {}
    }
}

/// The text as one TOML value, such as `30` or `[60, 30]`.
fn toml_value(text: &str) -> Option<Value> {
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    // More than one key means that the text has several lines.
    (table.len() == 1).then(|| table.remove("value")).flatten()
}

/// The text as a number as Rust reads it: TOML knows neither `.5` nor `007`.
fn number(text: &str) -> Option<Value> {
    let text = text.trim();
    let integer = text.parse().map(Value::Integer).ok();
    integer.or_else(|| text.parse().map(Value::Float).ok())
}

fn boolean(text: &str) -> Option<Value> {
    match text.to_lowercase().as_str() {
        "1" | "yes" | "on" | "true" => Some(Value::Boolean(true)),
        "0" | "no" | "off" | "false" => Some(Value::Boolean(false)),
        _ => None,
    }
}

const UNKNOWN_FIELD: &str = "unknown field ";

fn is_unknown_field(message: &str) -> bool {
    message.starts_with(UNKNOWN_FIELD)
}

/// Rewords serde's message about an unknown field, which names the field without its section.
fn explain(message: &str) -> String {
    match message.strip_prefix(UNKNOWN_FIELD).and_then(|rest| rest.split_once(", ")) {
        Some((_, expected)) => format!("there is no such setting; {expected}"),
        None => message.to_owned(),
    }
}
