//! Shared parts of the preflight's tests.

use jiff::Timestamp;

use super::finding::{FindingActor, FindingSeverity, PreflightAspect, PreflightFinding};
use super::review::AnnouncementReview;
use super::settings::PreflightSettings;
use crate::model::{Asn, Lease, Observed, Reputation, Route, Term, Verdict, VerdictState};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) const BLOCK: &str = "203.0.113.0/24";

/// What tests compare of a finding.
pub(super) type Shown = (FindingSeverity, &'static str, FindingActor);

pub(super) fn shown(finding: &PreflightFinding) -> Shown {
    (finding.severity, finding.reason, finding.actor)
}

/// A lease from 2026-06-01 through 2027-06-01 that has everything it needs.
pub(super) fn lease() -> Lease {
    let day = |text: &str| text.parse().ok();
    Lease {
        owner: Some("ACME-LIR".into()),
        term: Term { start: day("2026-06-01"), expiry: day("2027-06-01"), notice: None },
        loa_reference: Some("LOA-2026-0481".into()),
        origin: Asn::try_from(64500).ok(),
        ..Lease::default()
    }
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn route(prefix: &str) -> Route {
    Route { prefix: prefix.parse().unwrap(), origin: Asn::try_from(64500).unwrap() }
}

/// An answer whose data is of second 1000.
pub(super) fn observed<T>(value: T) -> Observed<T> {
    Observed { value, source: "test".into(), time: at(1_000) }
}

/// A reputation verdict that was observed at second 1000.
pub(super) fn reputation_state(reputation: Reputation) -> VerdictState {
    VerdictState {
        about: String::new(),
        verdict: Verdict::Reputation(reputation),
        since: at(0),
        observed: at(1_000),
        reason: "reason".into(),
        source: "bl.test".into(),
        candidate: None,
        last_failure: None,
        unpublished: None,
    }
}

/// Reviews the block with every aspect required or none. Data is stale after a minute.
pub(super) fn review<T>(
    lease: Option<&Lease>,
    all_required: bool,
    judge: impl FnOnce(AnnouncementReview<'_>) -> T,
) -> T {
    let required = if all_required { PreflightAspect::ALL.into() } else { BTreeSet::new() };
    let settings = PreflightSettings {
        required,
        bgp_stale_after: Duration::from_mins(1),
        reputation_stale_after: Duration::from_mins(1),
        ..PreflightSettings::default()
    };
    judge(AnnouncementReview { block: BLOCK.parse().unwrap(), lease, settings: &settings })
}
