//! Settings that were renamed. The old key still works and logs a warning that names the new one.

use toml::{Table, Value};

use super::error::Problems;

/// A setting that was renamed within its section.
struct RenamedKey {
    /// The path of the section; `[]` after a name stands for every entry of a list.
    section: &'static str,
    old: &'static str,
    new: &'static str,
}

const RENAMED: &[RenamedKey] = &[
    RenamedKey { section: "netbox", old: "parallel", new: "parallel_requests" },
    RenamedKey { section: "events", old: "keep_days", new: "retention_days" },
    RenamedKey { section: "events", old: "keep_at_most", new: "max_events" },
    RenamedKey { section: "rpki.guard", old: "at_least", new: "min_vrps" },
    RenamedKey { section: "rpki.guard", old: "may_lose", new: "max_loss_share" },
    RenamedKey { section: "rpki.sources[]", old: "silence_seconds", new: "read_timeout_seconds" },
    RenamedKey { section: "validation", old: "redate_hours", new: "rewrite_unchanged_hours" },
    RenamedKey { section: "validation.reputation", old: "budget", new: "max_queries_per_round" },
    RenamedKey { section: "allocation", old: "in_force", new: "require_in_force" },
];

/// Moves the value of every old key to its new key, and returns one warning for each. Both keys at once are a problem.
pub(super) fn apply(table: &mut Table, problems: &mut Problems) -> Vec<String> {
    let mut warnings = Vec::new();
    for renamed in RENAMED {
        let path: Vec<&str> = renamed.section.split('.').collect();
        visit(table, &path, "", &mut |section, at| {
            let (old, new) = (format!("{at}.{}", renamed.old), format!("{at}.{}", renamed.new));
            if !section.contains_key(renamed.old) {
                return;
            }
            if section.contains_key(renamed.new) {
                section.remove(renamed.old);
                problems.add(&old, format!("this is the old name of {new}, and both are set: remove {old}"));
                return;
            }
            if let Some(value) = section.remove(renamed.old) {
                section.insert(renamed.new.to_owned(), value);
            }
            if let Some(variable) = problems.variable(&old).map(str::to_owned) {
                problems.set_variable(new.clone(), variable);
            }
            warnings.push(format!("the setting {old} is now called {new}; the old name will be removed"));
        });
    }
    warnings
}

/// Calls `change` with every table that the path leads to, and with its full key.
fn visit(table: &mut Table, path: &[&str], at: &str, change: &mut dyn FnMut(&mut Table, &str)) {
    let Some((name, rest)) = path.split_first() else { return change(table, at) };
    let joined = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match name.strip_suffix("[]") {
        Some(name) => {
            let Some(Value::Array(entries)) = table.get_mut(name) else { return };
            for (index, entry) in entries.iter_mut().enumerate() {
                if let Value::Table(entry) = entry {
                    visit(entry, rest, &format!("{}[{index}]", joined(name)), change);
                }
            }
        }
        None => {
            if let Some(Value::Table(section)) = table.get_mut(*name) {
                visit(section, rest, &joined(name), change);
            }
        }
    }
}
