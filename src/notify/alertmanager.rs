//! Prometheus' Alertmanager, API v2: an alert is raised by an event and resolved by another one, such as a renewal.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{Span, Timestamp};
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::error::NotifySettingsError;
use super::http;
use super::notification::Notification;
use super::severity::AlertSeverity;
use super::sink::{DeliveryFailure, Sink, SinkKind};
use crate::model::{Check, EventKind, Subject, TermDate};

/// An alert is raised for this long, so that one whose resolution was lost ends by itself.
const RAISED_FOR_DAYS: i64 = 120;
/// How far the clocks of Alertmanager, NetBox and this server may differ.
const CLOCK_SKEW: Duration = Duration::from_mins(1);

/// An Alertmanager as a sink.
pub(super) struct Alertmanager {
    http: Client,
    url: Url,
    token: Option<SecretString>,
}

impl Alertmanager {
    /// The Alertmanager at a base URL.
    pub(super) fn new(
        url: &Url,
        token: Option<&SecretString>,
        allow_private: bool,
    ) -> Result<Self, NotifySettingsError> {
        let mut base = url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let alerts = base.join("api/v2/alerts").map_err(|_| NotifySettingsError::Url)?;
        Ok(Self { http: http::client(url, allow_private)?, url: alerts, token: token.cloned() })
    }
}

#[async_trait]
impl Sink for Alertmanager {
    fn kind(&self) -> SinkKind {
        SinkKind::Alertmanager
    }

    fn batch_size(&self) -> u32 {
        200
    }

    fn keeps_open(&self) -> bool {
        true
    }

    async fn send(&self, notifications: &[Notification], now: Timestamp) -> Result<(), DeliveryFailure> {
        let alerts: Vec<Value> =
            notifications.iter().flat_map(|notification| alerts(notification, now)).collect();
        if alerts.is_empty() {
            return Ok(());
        }
        let mut request = self.http.post(self.url.clone()).json(&alerts);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        http::send(request, now).await.map(drop)
    }
}

/// The alerts that an event raises and resolves. An alert's labels are its identity, so none of them may change from day to day.
/// The severity is one of them: when it changes, the alert with the former severity is resolved.
fn alerts(notification: &Notification, now: Timestamp) -> Vec<Value> {
    // An end in the past, for alerts that are resolved. To an Alertmanager whose clock is behind ours, an end at our `now` would
    // be in the future, and the alert's former, later end would stay.
    let past = now.checked_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN);
    let ends = now.checked_add(Span::new().hours(24 * RAISED_FOR_DAYS)).unwrap_or(Timestamp::MAX);
    let alert = |name: &str, severity: AlertSeverity, ends: Timestamp| {
        let owner = notification.event.domain_event.owner().unwrap_or_default();
        let mut labels = json!({
            "alertname": name, "severity": severity.as_str(), "service": "leasehold",
        });
        if let Value::Object(labels) = &mut labels {
            let about = [("prefix", notification.network()), ("owner", owner.to_owned())];
            let vrf = notification.scope().vrf().map(|id| ("vrf_id", id.to_string()));
            for (key, value) in about.into_iter().chain(vrf) {
                // Alertmanager treats an empty label as a missing one.
                if !value.is_empty() {
                    labels.insert(key.to_owned(), json!(value));
                }
            }
        }
        json!({
            "labels": labels,
            "annotations": { "summary": notification.summary(), "description": notification.advice() },
            // An alert that ends before it starts is refused, and NetBox's clock may be ahead of ours.
            "startsAt": notification.event.domain_event.time.min(past).to_string(),
            "endsAt": ends.to_string(),
        })
    };
    // The severity of a date only grows, so only the lower ones can have been raised before. That of a verdict may also fall.
    let may_fall = matches!(notification.event.domain_event.subject, Subject::Verdict(_));
    let current = notification.severity();
    let raise = |name: &str| -> Vec<Value> {
        AlertSeverity::ALL
            .into_iter()
            .filter(|severity| may_fall || *severity <= current)
            .map(|severity| alert(name, severity, if severity == current { ends } else { past }))
            .collect()
    };
    let resolve = |names: &[&str]| -> Vec<Value> {
        names.iter().flat_map(|name| AlertSeverity::ALL.map(|severity| alert(name, severity, past))).collect()
    };
    match (&notification.event.domain_event.subject, notification.kind()) {
        (Subject::Term(reached), _) => raise(match reached.which {
            TermDate::Expiry => "LeaseExpiry",
            TermDate::Notice => "LeaseNotice",
        }),
        (Subject::Verdict(change), _) if change.after.is_good() => {
            resolve(&[verdict_alert(change.after.check())])
        }
        (Subject::Verdict(change), _) => raise(verdict_alert(change.after.check())),
        (_, EventKind::LeaseRenewed) => resolve(&["LeaseExpiry", "LeaseNotice"]),
        (_, EventKind::LeaseEnded) => {
            let verdicts = Check::ALL.map(verdict_alert);
            resolve(&["LeaseExpiry", "LeaseNotice", verdicts[0], verdicts[1], verdicts[2]])
        }
        (_, EventKind::SyncLost) => raise("NetBoxSyncLost"),
        (_, EventKind::SyncRegained) => resolve(&["NetBoxSyncLost"]),
        // Every other event is a change that is over when it is published, and no problem that lasts.
        _ => Vec::new(),
    }
}

/// The name of the alert about a verdict.
fn verdict_alert(check: Check) -> &'static str {
    match check {
        Check::Roa => "BlockRoa",
        Check::Irr => "BlockIrr",
        Check::Reputation => "BlockReputation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DomainEvent, RoaStatus, Verdict, VerdictChange};
    use crate::notify::sample_event;

    fn notification(before: RoaStatus, after: RoaStatus) -> Notification {
        let now = Timestamp::UNIX_EPOCH;
        let mut event = sample_event(now);
        let Subject::Term(reached) = &event.domain_event.subject else { panic!("{event:?}") };
        let change = VerdictChange {
            prefix: reached.prefix.clone(),
            before: Verdict::Roa(before),
            before_since: now,
            after: Verdict::Roa(after),
            reason: "why".into(),
            source: "rtr".into(),
            observed: now,
        };
        event.domain_event = DomainEvent::verdict(change, now);
        Notification { id: "1".into(), event }
    }

    /// The severities of the alerts that a notification raises, and of those that it resolves.
    fn raised_and_resolved(notification: &Notification) -> (Vec<String>, Vec<String>) {
        let now = Timestamp::UNIX_EPOCH;
        let rows = alerts(notification, now);
        assert!(rows.iter().all(|row| row["labels"]["alertname"] == "BlockRoa"), "{rows:?}");
        let severity = |row: &Value| row["labels"]["severity"].as_str().unwrap().to_owned();
        let is_raised = |row: &&Value| row["endsAt"].as_str().unwrap().parse::<Timestamp>().unwrap() > now;
        let (raised, resolved): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(is_raised);
        (raised.into_iter().map(severity).collect(), resolved.into_iter().map(severity).collect())
    }

    #[test]
    fn a_verdict_raises_one_severity_and_a_good_one_resolves_all() {
        let all = AlertSeverity::ALL.len();
        let (raised, resolved) = raised_and_resolved(&notification(RoaStatus::Valid, RoaStatus::Invalid));
        assert_eq!((raised, resolved.len()), (vec!["critical".to_owned()], all - 1));
        // A less severe verdict is another alert, and the more severe one is resolved.
        let (raised, resolved) = raised_and_resolved(&notification(RoaStatus::Invalid, RoaStatus::Unknown));
        assert_eq!(raised, ["warning"]);
        assert!(resolved.contains(&"critical".to_owned()), "{resolved:?}");
        let (raised, resolved) = raised_and_resolved(&notification(RoaStatus::Unknown, RoaStatus::Valid));
        assert_eq!((raised, resolved.len()), (Vec::new(), all));
    }

    #[test]
    fn a_verdict_says_what_changed_why_and_who_can_fix_it() {
        let bad = notification(RoaStatus::Valid, RoaStatus::Unknown);
        assert!(bad.summary().ends_with("RPKI is unknown (was valid): why"), "{}", bad.summary());
        assert!(bad.advice().contains("Only ACME-LIR can fix this"), "{}", bad.advice());
        let good = notification(RoaStatus::Unknown, RoaStatus::Valid);
        assert_eq!(
            good.resolved_keys(),
            [bad.dedupe_key()],
            "the ticket that is closed is the one that was opened"
        );
        assert!(bad.resolved_keys().is_empty() && good.resolves() && !bad.resolves());
    }
}
