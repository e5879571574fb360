//! `[notify]`: which events go to which sink. The sinks themselves are in [`super::sinks`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::sinks::SinkEntry;
use super::values::days_around_end;
use crate::notify::{NotificationRoute, NotifySettings};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NotifySection {
    #[serde(skip_deserializing)]
    pub(super) sinks: Vec<SinkEntry>,
    routes: Vec<RouteEntry>,
}

/// An entry of `[[notify.routes]]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RouteEntry {
    sink: String,
    types: Vec<String>,
    owners: BTreeSet<String>,
    min_severity: Option<String>,
    max_days_left: Option<i32>,
}

impl NotifySection {
    /// Checks sinks and routes. What a sink makes of its own settings is only seen when it is built.
    pub(super) fn check(&self, problems: &mut Problems) -> NotifySettings {
        let mut sinks = Vec::new();
        let mut names = BTreeSet::new();
        for entry in &self.sinks {
            if !names.insert(entry.name.as_str()) {
                problems.add(format!("{}.name", entry.at), format!("there are two sinks {:?}", entry.name));
            }
            sinks.extend(entry.check(problems));
        }
        let mut routes = Vec::new();
        for (index, entry) in self.routes.iter().enumerate() {
            routes.push(entry.check(&format!("notify.routes[{index}]"), &names, problems));
        }
        NotifySettings { sinks, routes }
    }
}

impl RouteEntry {
    fn check(&self, at: &str, sinks: &BTreeSet<&str>, problems: &mut Problems) -> NotificationRoute {
        if !sinks.contains(self.sink.as_str()) {
            problems.add(format!("{at}.sink"), format!("there is no sink {:?}", self.sink));
        }
        let mut kinds = BTreeSet::new();
        for (index, word) in self.types.iter().enumerate() {
            match word.parse() {
                Ok(kind) => {
                    kinds.insert(kind);
                }
                Err(error) => problems.add(format!("{at}.types[{index}]"), error),
            }
        }
        let severity = self.min_severity.as_deref().map(str::parse).transpose();
        let min_severity =
            severity.map_err(|error| problems.add(format!("{at}.min_severity"), error)).unwrap_or_default();
        let max_days_left =
            self.max_days_left.map(|days| days_around_end(format!("{at}.max_days_left"), days, problems));
        NotificationRoute {
            sink: self.sink.clone(),
            kinds,
            owners: self.owners.clone(),
            min_severity,
            max_days_left,
        }
    }
}
