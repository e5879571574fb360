//! Prometheus' Alertmanager, API v2: an alert while a date is near, resolved by a renewal.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{Span, Timestamp};
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::http;
use super::message::Note;
use super::route::Severity;
use super::settings::SettingsError;
use super::sink::{Failure, Sink};
use crate::model::{Check, EventKind, Subject, TermDate};

/// An alert stands until it is resolved; this long at most, so that one whose end was lost does not stand for ever.
const STANDS_FOR_DAYS: i64 = 120;

/// How far clocks may differ.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

/// An Alertmanager.
pub struct Alertmanager {
    http: Client,
    url: Url,
    token: Option<SecretString>,
}

impl Alertmanager {
    /// The Alertmanager at a base URL.
    pub fn new(url: &Url, token: Option<&SecretString>, allow_private: bool) -> Result<Self, SettingsError> {
        let mut base = url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let alerts = base.join("api/v2/alerts").map_err(|_| SettingsError::Url)?;
        Ok(Self { http: http::client(url, allow_private)?, url: alerts, token: token.cloned() })
    }
}

#[async_trait]
impl Sink for Alertmanager {
    fn kind(&self) -> &'static str {
        "alertmanager"
    }

    fn batch(&self) -> u32 {
        200
    }

    fn takes_back(&self) -> bool {
        true
    }

    async fn send(&self, notes: &[Note], now: Timestamp) -> Result<(), Failure> {
        let alerts: Vec<Value> = notes.iter().flat_map(|note| alerts(note, now)).collect();
        if alerts.is_empty() {
            return Ok(());
        }
        let mut request = self.http.post(self.url.clone()).json(&alerts);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        http::send(request).await.map(drop)
    }
}

/// The alerts that an event raises and resolves. Labels are an alert's identity, so nothing that changes by the day stands
/// in them; the severity does, and what was raised under another one is resolved.
pub fn alerts(note: &Note, now: Timestamp) -> Vec<Value> {
    // What has ended has ended a while ago: to an Alertmanager whose clock is a moment behind ours, an end in its future is
    // none, and the later end of what was raised before would hold.
    let over = now.checked_sub(CLOCKS_DIFFER).unwrap_or(Timestamp::MIN);
    let ends = now.checked_add(Span::new().hours(24 * STANDS_FOR_DAYS)).unwrap_or(Timestamp::MAX);
    let alert = |name: &str, severity: Severity, ends: Timestamp| {
        let owner = note.event.happening.owner().unwrap_or_default();
        let mut labels = json!({
            "alertname": name, "severity": severity.as_str(), "service": "leasehold",
        });
        if let Value::Object(labels) = &mut labels {
            let about = [("prefix", note.network()), ("owner", owner.to_owned())];
            let vrf = note.table().vrf().map(|id| ("vrf_id", id.to_string()));
            for (key, value) in about.into_iter().chain(vrf) {
                // To Alertmanager an empty label is none.
                if !value.is_empty() {
                    labels.insert(key.to_owned(), json!(value));
                }
            }
        }
        json!({
            "labels": labels,
            "annotations": { "summary": note.line(), "description": note.advice() },
            // NetBox's clock may be ahead of ours, and an alert that ends before it starts is refused.
            "startsAt": note.event.happening.time.min(over).to_string(),
            "endsAt": ends.to_string(),
        })
    };
    // A term only grows more urgent; a verdict may also grow less so.
    let may_fall = matches!(note.event.happening.subject, Subject::Verdict(_));
    let raise = |name: &str| -> Vec<Value> {
        ALL.iter()
            .filter(|severity| may_fall || **severity <= note.severity())
            .map(|severity| alert(name, *severity, if *severity == note.severity() { ends } else { over }))
            .collect()
    };
    let resolve = |names: &[&str]| -> Vec<Value> {
        names.iter().flat_map(|name| ALL.iter().map(|severity| alert(name, *severity, over))).collect()
    };
    match (&note.event.happening.subject, note.kind()) {
        (Subject::Term(reached), _) => raise(match reached.which {
            TermDate::Expiry => "LeaseExpiry",
            TermDate::Notice => "LeaseNotice",
        }),
        (Subject::Verdict(change), _) if change.after.is_good() => {
            resolve(&[verdict_name(change.after.check())])
        }
        (Subject::Verdict(change), _) => raise(verdict_name(change.after.check())),
        (_, EventKind::LeaseRenewed) => resolve(&["LeaseExpiry", "LeaseNotice"]),
        (_, EventKind::LeaseEnded) => {
            let verdicts = Check::ALL.map(verdict_name);
            resolve(&["LeaseExpiry", "LeaseNotice", verdicts[0], verdicts[1], verdicts[2]])
        }
        (_, EventKind::SyncLost) => raise("NetBoxSyncLost"),
        (_, EventKind::SyncRegained) => resolve(&["NetBoxSyncLost"]),
        // Anything else is news, and no state that an alert could stand for.
        _ => Vec::new(),
    }
}

fn verdict_name(check: Check) -> &'static str {
    match check {
        Check::Roa => "BlockRoa",
        Check::Irr => "BlockIrr",
        Check::Reputation => "BlockReputation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Happening, RoaStatus, Verdict, VerdictChange};
    use crate::notify::message::sample;

    fn note(before: RoaStatus, after: RoaStatus) -> Note {
        let now = Timestamp::UNIX_EPOCH;
        let mut event = sample(now);
        let Subject::Term(reached) = &event.happening.subject else { panic!("{event:?}") };
        let change = VerdictChange {
            prefix: reached.prefix.clone(),
            before: Verdict::Roa(before),
            before_since: now,
            after: Verdict::Roa(after),
            reason: "why".into(),
            source: "rtr".into(),
            observed: now,
        };
        event.happening = Happening::verdict(change, now);
        Note { id: "1".into(), tried: 0, event }
    }

    /// Severities of the alerts that stand after a note, and of those that it ends.
    fn standing(note: &Note) -> (Vec<String>, Vec<String>) {
        let now = Timestamp::UNIX_EPOCH;
        let rows = alerts(note, now);
        assert!(rows.iter().all(|row| row["labels"]["alertname"] == "BlockRoa"), "{rows:?}");
        let severity = |row: &Value| row["labels"]["severity"].as_str().unwrap().to_owned();
        let stands = |row: &&Value| row["endsAt"].as_str().unwrap().parse::<Timestamp>().unwrap() > now;
        let (stand, end): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(stands);
        (stand.into_iter().map(severity).collect(), end.into_iter().map(severity).collect())
    }

    #[test]
    fn a_verdict_stands_under_its_own_severity_alone_and_a_good_one_ends_all() {
        let (stand, end) = standing(&note(RoaStatus::Valid, RoaStatus::Invalid));
        assert_eq!((stand, end.len()), (vec!["critical".to_owned()], ALL.len() - 1));
        // Less bad is another alert, and the worse one is over.
        let (stand, end) = standing(&note(RoaStatus::Invalid, RoaStatus::Unknown));
        assert_eq!(stand, ["warning"]);
        assert!(end.contains(&"critical".to_owned()), "{end:?}");
        let (stand, end) = standing(&note(RoaStatus::Unknown, RoaStatus::Valid));
        assert_eq!((stand, end.len()), (Vec::new(), ALL.len()));
    }

    #[test]
    fn what_is_told_says_what_changed_why_and_whom_to_ask() {
        let bad = note(RoaStatus::Valid, RoaStatus::Unknown);
        assert!(bad.line().ends_with("RPKI is unknown (was valid): why"), "{}", bad.line());
        assert!(bad.advice().contains("Only ACME-LIR can mend it"), "{}", bad.advice());
        let good = note(RoaStatus::Unknown, RoaStatus::Valid);
        assert_eq!(
            good.settled_keys(),
            [bad.dedupe_key()],
            "the ticket that it closes is the one that was opened"
        );
        assert!(bad.settled_keys().is_empty() && good.takes_back() && !bad.takes_back());
    }
}
