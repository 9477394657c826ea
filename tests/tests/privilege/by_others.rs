//! What a role is granted that no scenario on the emulators can show to be needed, and what shows it.

/// Granted for Lambda to use, which acts with the role around the function. The emulators do so themselves
/// and ask nobody; that the template grants these and no more is held by its own tests. The function, the
/// action, and what Lambda needs it for.
pub(crate) const USED_BY_LAMBDA: &[(&str, &str, &str)] = &[
    ("S3", "logs:CreateLogStream", LOG),
    ("S3", "logs:PutLogEvents", LOG),
    ("S3", "sqs:SendMessage", ON_FAILURE),
    ("S3", "sqs:ReceiveMessage", POLLS),
    ("S3", "sqs:DeleteMessage", POLLS),
    ("S3", "sqs:GetQueueAttributes", POLLS),
    ("Iam", "logs:CreateLogStream", LOG),
    ("Iam", "logs:PutLogEvents", LOG),
    ("Iam", "sqs:SendMessage", ON_FAILURE),
    ("Iam", "sqs:ReceiveMessage", POLLS),
    ("Iam", "sqs:DeleteMessage", POLLS),
    ("Iam", "sqs:GetQueueAttributes", POLLS),
    ("Ec2", "logs:CreateLogStream", LOG),
    ("Lambda", "logs:CreateLogStream", LOG),
    ("Ec2", "logs:PutLogEvents", LOG),
    ("Lambda", "logs:PutLogEvents", LOG),
    ("Ec2", "sqs:SendMessage", ON_FAILURE),
    ("Lambda", "sqs:SendMessage", ON_FAILURE),
    ("Ec2", "sqs:ReceiveMessage", POLLS),
    ("Lambda", "sqs:ReceiveMessage", POLLS),
    ("Ec2", "sqs:DeleteMessage", POLLS),
    ("Lambda", "sqs:DeleteMessage", POLLS),
    ("Ec2", "sqs:GetQueueAttributes", POLLS),
    ("Lambda", "sqs:GetQueueAttributes", POLLS),
    ("Triage", "logs:CreateLogStream", LOG),
    ("Triage", "logs:PutLogEvents", LOG),
    ("Triage", "sqs:SendMessage", ON_FAILURE),
    ("Triage", "sqs:ReceiveMessage", POLLS),
    ("Triage", "sqs:DeleteMessage", POLLS),
    ("Triage", "sqs:GetQueueAttributes", POLLS),
    ("S3", "xray:PutTelemetryRecords", TRACE),
    ("S3", "xray:PutTraceSegments", TRACE),
    ("Iam", "xray:PutTelemetryRecords", TRACE),
    ("Iam", "xray:PutTraceSegments", TRACE),
    ("Ec2", "xray:PutTelemetryRecords", TRACE),
    ("Lambda", "xray:PutTelemetryRecords", TRACE),
    ("Ec2", "xray:PutTraceSegments", TRACE),
    ("Lambda", "xray:PutTraceSegments", TRACE),
    ("Triage", "xray:PutTelemetryRecords", TRACE),
    ("Triage", "xray:PutTraceSegments", TRACE),
];

/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html>
const LOG: &str = "writes what the function logs";
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
const ON_FAILURE: &str = "sends an event that failed three times to the on-failure queue";
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
const POLLS: &str = "polls the queue of what comes back later";
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html>
const TRACE: &str = "sends the trace of an invocation";

/// Called in a scenario of the playbook's own tests, against rules in place of the emulator, for what the
/// emulator lacks. The function, the action, what is lacking, and the test with its file.
pub(crate) const CALLED_ELSEWHERE: &[(&str, &str, &str, &str, &str)] = &[
    (
        "S3",
        "s3:ListAllMyBuckets",
        "the emulator does not hold a bucket against its expected owner",
        "a_bucket_of_another_account_is_said_to_be_anothers_and_ours_is_shut",
        "shared/playbooks/s3/src/tests/by_others.rs",
    ),
    (
        "Ec2",
        "ec2:DisassociateAddress",
        "the emulator does not show the association of an interface's address",
        "public_addresses_metadata_and_time_outs_change_only_if_settings_say_so",
        "shared/playbooks/ec2/src/tests/contain.rs",
    ),
    (
        "Iam",
        "iam:UpdateServiceSpecificCredential",
        "the emulators have no service-specific credentials",
        "the_service_specific_credential_that_the_finding_names_is_deactivated_and_no_other",
        "shared/playbooks/iam/src/tests/way_back.rs",
    ),
    (
        "Triage",
        "securityhub:BatchUpdateFindings",
        "the emulators have no Security Hub",
        "the_finding_is_noted_and_set_to_notified_by_its_arn_and_guardduty_s",
        "shared/remediation/src/notify/security_hub/tests.rs",
    ),
    (
        "Triage",
        "securityhub:DescribeSecurityHubV2",
        "the emulators have no Security Hub",
        "each_enabled_security_hub_is_updated_by_its_own_ids",
        "shared/remediation/src/notify/security_hub/v2/tests.rs",
    ),
    (
        "Triage",
        "securityhub:GetFindings",
        "the emulators have no Security Hub",
        "an_analyst_has_the_last_word",
        "shared/remediation/src/notify/security_hub/tests.rs",
    ),
];
