//! The calls that CloudTrail's event history does not have: data events,
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html>.

/// True if a call of `api` of `service` is a data event. Any event that is not listed here counts as a management
/// event.
pub fn is_data_event(service: &str, api: &str) -> bool {
    match service.split('.').next().unwrap_or_default() {
        "s3" => is_of_objects(api),
        "lambda" => api.starts_with("Invoke"),
        "dynamodb" => matches!(
            api,
            "BatchGetItem"
                | "BatchWriteItem"
                | "DeleteItem"
                | "ExecuteStatement"
                | "ExecuteTransaction"
                | "BatchExecuteStatement"
                | "GetItem"
                | "GetRecords"
                | "PutItem"
                | "Query"
                | "Scan"
                | "TransactGetItems"
                | "TransactWriteItems"
                | "UpdateItem"
        ),
        "sns" => api.starts_with("Publish"),
        "sqs" => api.contains("Message"),
        _ => false,
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html>
fn is_of_objects(api: &str) -> bool {
    let configures = api.contains("ObjectLockConfiguration");
    let names = ["Object", "Upload", "ListParts"];
    (names.iter().any(|name| api.contains(name)) && !configures)
        || matches!(api, "HeadBucket" | "PreflightRequest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_on_objects_are_data_events_and_calls_on_buckets_are_not() {
        for api in [
            "GetObject",
            "ListObjects",
            "ListObjectsV2",
            "ListObjectVersions",
            "DeleteObjects",
            "PutObjectAcl",
            "UploadPart",
            "CreateMultipartUpload",
            "HeadBucket",
        ] {
            assert!(is_data_event("s3.amazonaws.com", api), "{api}");
        }
        for (service, api) in [
            ("s3.amazonaws.com", "ListBuckets"),
            ("s3.amazonaws.com", "PutBucketPolicy"),
            ("s3.amazonaws.com", "PutObjectLockConfiguration"),
            ("iam.amazonaws.com", "GetObject"),
            ("lambda.amazonaws.com", "UpdateFunctionCode"),
        ] {
            assert!(!is_data_event(service, api), "{service} {api}");
        }
    }
}
