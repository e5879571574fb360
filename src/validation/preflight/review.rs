//! The block under review, and the parts that all findings have in common.

use std::collections::BTreeSet;

use super::finding::{FindingActor, FindingSeverity, PreflightAspect, PreflightFinding};
use super::settings::PreflightSettings;
use crate::model::{CouldNotCheck, Lease, Network};

/// A block that somebody wants to announce, with the lease and the settings that it is judged by.
#[derive(Clone, Copy, Debug)]
pub struct AnnouncementReview<'a> {
    pub block: Network,
    /// The lease that covers the block; `None` if no lease does.
    pub lease: Option<&'a Lease>,
    pub settings: &'a PreflightSettings,
}

impl AnnouncementReview<'_> {
    /// The severity of a fault: it blocks if the aspect is required.
    pub(super) fn fault(&self, aspect: PreflightAspect) -> FindingSeverity {
        if self.settings.required.contains(&aspect) {
            FindingSeverity::Blocking
        } else {
            FindingSeverity::Warning
        }
    }

    /// A finding about the block that rests on the record alone and on which nobody has to act.
    pub(super) fn finding(
        &self,
        aspect: PreflightAspect,
        severity: FindingSeverity,
        reason: &'static str,
        message: impl Into<String>,
    ) -> PreflightFinding {
        PreflightFinding {
            aspect,
            severity,
            reason,
            message: message.into(),
            prefix: self.block,
            source: String::new(),
            observed: None,
            actor: FindingActor::Nobody,
            advice: String::new(),
        }
    }

    /// The name of the lease's owner, for texts.
    pub(super) fn holder(&self) -> &str {
        self.lease.and_then(|lease| lease.owner.as_deref()).unwrap_or("the holder of the resource")
    }

    /// The advice for a block without a lease.
    pub(super) fn advice_to_register(&self) -> String {
        format!("Record the lease: leasehold lease register {} --owner … --expiry …", self.block)
    }

    /// The finding for an aspect that could not be checked, because no source is configured or none answered.
    pub(super) fn unchecked(
        &self,
        aspect: PreflightAspect,
        prefix: Network,
        could_not: &CouldNotCheck,
    ) -> PreflightFinding {
        let (severity, reason, advice) = if !could_not.is_not_configured() {
            let sources: BTreeSet<&str> =
                could_not.causes.iter().map(|cause| cause.source.as_str()).collect();
            let sources = sources.into_iter().collect::<Vec<_>>().join(", ");
            let advice =
                format!("Find out why there is no answer from {sources} (leasehold status), and try again.");
            (self.fault(aspect), "COULD_NOT_CHECK", advice)
        } else if self.settings.required.contains(&aspect) {
            let advice = format!(
                "Configure a source for {aspect}, or take {aspect} out of validation.preflight.required."
            );
            (FindingSeverity::Blocking, "NOT_CONFIGURED", advice)
        } else {
            (FindingSeverity::Note, "NOT_CONFIGURED", String::new())
        };
        PreflightFinding {
            prefix,
            actor: if advice.is_empty() { FindingActor::Nobody } else { FindingActor::Operator },
            advice,
            ..self.finding(aspect, severity, reason, format!("could not be checked: {could_not}"))
        }
    }
}
