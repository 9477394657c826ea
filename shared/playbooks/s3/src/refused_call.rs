//! A call without credentials that S3 refused: the caller got nothing, whatever the bucket lets out. Pure.

use super::block::BlockPublicAccess;
use super::exposure::{Exposure, Seen};
use model::finding::Finding;
use model::not_contained::refusal_code;

/// Why nothing is to be done about the call of `finding`, if nothing is.
pub(super) fn refused_call(finding: &Finding, seen: &Seen<'_>) -> Option<String> {
    let code = refusal_code(finding)?;
    // The flags may be what refused it: they are told as the containment that they are.
    if seen.bucket.block == BlockPublicAccess::ALL {
        return None;
    }
    if finding.count() != Some(1) {
        return seen.is_shut_to_anybody(finding).then(|| {
            format!(
                "S3 refused the last of several calls ({code}), and nobody gets in without credentials \
                 now: find out what the calls before it got"
            )
        });
    }
    let left = match seen.exposure {
        Exposure::Public => format!(
            "; the bucket is public by {}, which is left to its owner",
            seen.ways(finding).join(" and ")
        ),
        Exposure::NotPublic => String::new(),
        Exposure::Unknown => "; check whether the bucket is public".to_owned(),
    };
    Some(format!(
        "S3 refused the call ({code}), so that the caller got nothing{left}"
    ))
}
