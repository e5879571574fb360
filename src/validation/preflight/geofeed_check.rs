//! The preflight's finding about the holder's geofeed.

use super::finding::{FindingActor, FindingSeverity, PreflightAspect, PreflightFinding};
use super::review::AnnouncementReview;
use crate::geofeed::BlockLocation;
use crate::model::{CouldNotCheck, Observed};

/// A geofeed, and what it says about the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeofeedEvidence {
    pub url: String,
    pub location: Observed<BlockLocation>,
}

impl AnnouncementReview<'_> {
    /// Whether a geofeed covers the block. `Ok(None)` says that no geofeed is recorded for it.
    pub(super) fn geofeed(
        &self,
        evidence: &Result<Option<GeofeedEvidence>, CouldNotCheck>,
    ) -> PreflightFinding {
        let aspect = PreflightAspect::Geofeed;
        let GeofeedEvidence { url, location } = match evidence {
            Ok(Some(evidence)) => evidence,
            Ok(None) => {
                let message = "no geofeed is recorded";
                return self.finding(aspect, FindingSeverity::Note, "GEOFEED_NOT_RECORDED", message);
            }
            Err(could_not) => return self.unchecked(aspect, self.block, could_not),
        };
        let found = |severity, reason, message: String| PreflightFinding {
            source: location.source.clone(),
            observed: Some(location.time),
            ..self.finding(aspect, severity, reason, message)
        };
        if location.value.covered {
            let countries: Vec<&str> = location.value.countries.iter().map(String::as_str).collect();
            // An entry without a country asks for the block not to be located (RFC 8805).
            let message = if countries.is_empty() {
                "it asks for the block not to be located".to_owned()
            } else {
                format!("it locates the block in {}", countries.join(", "))
            };
            return found(FindingSeverity::Pass, "GEOFEED_COVERS", message);
        }
        let covered = if location.value.entries.is_empty() {
            "no part of the block"
        } else {
            "only a part of the block"
        };
        PreflightFinding {
            actor: FindingActor::Holder,
            advice: format!("Ask {} to enter {} in the geofeed {url}.", self.holder(), self.block),
            ..found(self.fault(aspect), "GEOFEED_DOES_NOT_COVER", format!("it locates {covered}"))
        }
    }
}
