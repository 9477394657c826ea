//! The finding that a drill sends: one from a file, or one made of a finding type.

use jiff::{SignedDuration, Timestamp, Unit};
use remediation::catalogue::{self, Disposition};
use remediation::decision::targets;
use remediation::error::Result;
use remediation::finding::{DETAIL_TYPE, DRILL_SOURCE, Finding, FindingType, detail_of, printable};
use serde_json::{Value, json};

/// 32 hexadecimal digits, as GuardDuty's ids are.
pub(super) fn fresh_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// The detail of the finding that `document` is, with the id `id` and as if it had just been seen. The account,
/// the Region and the resources stay those of the finding: they belong together.
///
/// # Errors
/// For one that no function could read.
pub(super) fn from_document(document: &Value, id: &str, now: Timestamp) -> Result<Value> {
    let finding = Finding::read(document)?;
    let mut detail = detail_of(document)?;
    // Only triage marks a finding so, and the rules would not know what to do with it.
    if let Some(members) = detail.as_object_mut() {
        members.remove("handedOverTo");
    }
    if let Some((detector, _)) = finding.arn().rsplit_once("/finding/") {
        detail["arn"] = json!(format!("{detector}/finding/{id}"));
    }
    let lasted = match (finding.first_seen(), finding.last_seen()) {
        (Some(first), Some(last)) => last.duration_since(first).max(SignedDuration::ZERO),
        _ => SignedDuration::ZERO,
    };
    stamp(&mut detail, id, now, lasted);
    Ok(detail)
}

/// The account and Region for which a finding is made.
pub(super) struct Place<'a> {
    pub(super) account: &'a str,
    pub(super) region: &'a str,
}

/// The detail of a finding of type `kind`, made with the section of the resource that it is about.
/// `target` names that: a bucket, a user (`name` or `name/access key id`), or an instance.
///
/// # Errors
/// For a target where such a finding has none, and for findings that name more than one resource.
pub(super) fn of_type(
    kind: &FindingType,
    target: Option<&str>,
    place: &Place<'_>,
    id: &str,
    now: Timestamp,
) -> std::result::Result<Value, String> {
    let named = |nobody: String| target.map_or(nobody, ToOwned::to_owned);
    let resource = match (kind.purpose(), kind.resource()) {
        ("AttackSequence", _) => {
            return Err(format!(
                "{kind} is made of several findings: give a file with one"
            ));
        }
        (purpose, "S3") => {
            let name = named(format!("gdr-drill-{id}"));
            let by_policy = matches!(purpose, "Policy" | "Stealth");
            json!({
                "resourceType": if by_policy { "AccessKey" } else { "S3Bucket" },
                "s3BucketDetails": [{ "name": name, "type": "Destination" }],
            })
        }
        (_, "IAMUser") if kind.family() == "InstanceCredentialExfiltration" => {
            return Err(format!(
                "{kind} names a role's session and an instance: give a file with one"
            ));
        }
        (_, "IAMUser") => {
            let target = named(format!("gdr-drill-{}", &id[..12]));
            let (name, key) = match target.split_once('/') {
                Some((name, key)) => (name, Some(key)),
                None => (target.as_str(), None),
            };
            json!({
                "resourceType": "AccessKey",
                "accessKeyDetails": { "userType": "IAMUser", "userName": name, "accessKeyId": key },
            })
        }
        (_, "EC2" | "Runtime") => json!({
            "resourceType": "Instance",
            "instanceDetails": { "instanceId": named(format!("i-{}", &id[..17])) },
        }),
        (_, other) if target.is_none() => json!({ "resourceType": other }),
        _ => {
            return Err(format!(
                "--target names nothing in a finding of type {kind}"
            ));
        }
    };
    let mut detail = json!({
        "schemaVersion": "2.0",
        "accountId": place.account,
        "region": place.region,
        "type": kind.as_str(),
        "severity": 8,
        "title": format!("Drill: {kind}"),
        "description": "Made by gdr drill. GuardDuty found nothing.",
        "resource": resource,
        "service": {
            "serviceName": "guardduty",
            "archived": false,
            "count": 1,
            "resourceRole": if kind.resource() == "S3" { "TARGET" } else { "ACTOR" },
        },
    });
    stamp(&mut detail, id, now, SignedDuration::ZERO);
    Ok(detail)
}

/// Gives the finding an id of its own, so that it touches no incident. Its times are those of an activity
/// that `lasted` so long and has just been seen.
fn stamp(detail: &mut Value, id: &str, now: Timestamp, lasted: SignedDuration) {
    let last = now.round(Unit::Second).unwrap_or(now);
    let first = last.saturating_sub(lasted).unwrap_or(last);
    detail["id"] = json!(id);
    if !detail["service"].is_object() {
        detail["service"] = json!({});
    }
    for (members, time) in [
        (["createdAt", "eventFirstSeen"], first),
        (["updatedAt", "eventLastSeen"], last),
    ] {
        let [of_finding, of_service] = members;
        detail[of_finding] = json!(time.to_string());
        detail["service"][of_service] = json!(time.to_string());
    }
}

/// The finding as the functions will read it.
///
/// # Errors
/// If one of them could not say what to contain: it would only tell.
pub(super) fn as_delivered(detail: &Value) -> Result<Finding> {
    let finding = Finding::parse(&json!({
        "source": DRILL_SOURCE, "detail-type": DETAIL_TYPE, "detail": detail,
    }))?;
    for function in catalogue::routes(&finding) {
        if catalogue::disposition(function, &finding) == Disposition::Contain {
            targets(function, &finding)?;
        }
    }
    Ok(finding)
}

/// The finding type that `text` is.
///
/// # Errors
/// If it is none, and so names neither a file nor a type.
pub(super) fn finding_type(text: &str) -> std::result::Result<FindingType, String> {
    FindingType::parse(text).map_err(|_| {
        format!(
            "{} is neither a file nor a finding type, which is of the form Purpose:Resource/Name",
            printable(text)
        )
    })
}

#[cfg(test)]
mod tests;
