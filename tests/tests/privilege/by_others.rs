//! What a role is granted for somebody else to use: Lambda, which acts with it around the function. The
//! emulators do so themselves and ask nobody, so that no scenario can show it. What the template says of
//! them is held by the tests of the template.

/// The function, the action, and who needs it for what.
pub(crate) const USED_BY_LAMBDA: &[(&str, &str, &str)] = &[
    ("S3", "logs:CreateLogStream", LOG),
    ("S3", "logs:PutLogEvents", LOG),
    ("S3", "sqs:SendMessage", ON_FAILURE),
    ("Iam", "logs:CreateLogStream", LOG),
    ("Iam", "logs:PutLogEvents", LOG),
    ("Iam", "sqs:SendMessage", ON_FAILURE),
    ("Iam", "sqs:ReceiveMessage", POLLS),
    ("Iam", "sqs:DeleteMessage", POLLS),
    ("Iam", "sqs:GetQueueAttributes", POLLS),
    ("Ec2", "logs:CreateLogStream", LOG),
    ("Ec2", "logs:PutLogEvents", LOG),
    ("Ec2", "sqs:SendMessage", ON_FAILURE),
    ("Triage", "logs:CreateLogStream", LOG),
    ("Triage", "logs:PutLogEvents", LOG),
    ("Triage", "sqs:SendMessage", ON_FAILURE),
];

/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html>
const LOG: &str = "writes what the function logs";
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
const ON_FAILURE: &str = "sends an event that failed three times to the on-failure queue";
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
const POLLS: &str = "polls the queue of containments to look at again";
