//! The function's part of `*:Lambda/*`,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/lambda-protection-finding-types.html>.

use super::Disposition::{self, Contain, Notify};
use super::{UNKNOWN, custom, kinds};
use crate::finding::{Finding, FindingType};

pub(super) fn disposition(finding: &Finding) -> Disposition {
    let kind = &finding.finding_type;
    if custom::found(finding) {
        return Notify(custom::WHY);
    }
    if kind.resource() == "Lambda" && kinds::is_hostile(kind) && is_compromise(kind) {
        return Contain;
    }
    Notify(UNKNOWN)
}

/// True for the families of what the code of a function does on the network. A function is invoked, and nobody
/// connects to it: it is always the source.
fn is_compromise(kind: &FindingType) -> bool {
    kind.artifact().is_none()
        && matches!(
            kind.family(),
            "BitcoinTool"
                | "BlackholeTraffic"
                | "C&CActivity"
                | "DropPoint"
                | "MaliciousIPCaller"
                | "TorClient"
                | "TorRelay"
        )
}
