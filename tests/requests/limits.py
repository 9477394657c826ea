"""Limits of AWS that its models do not have, each after the document that tells it."""

import re

KB = 1024

# The most that a call takes or returns of a list, where the model does not say: by operation and member.
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/ (MaxResults of each action)
# https://docs.aws.amazon.com/autoscaling/ec2/APIReference/
# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/
# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
# https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchUpdateFindings.html
RANGES = {
    ("ec2", "DescribeInstances", "MaxResults"): (5, 1000),
    ("ec2", "DescribeNetworkInterfaces", "MaxResults"): (5, 1000),
    ("ec2", "DescribeRouteTables", "MaxResults"): (5, 100),
    ("ec2", "DescribeSecurityGroupRules", "MaxResults"): (5, 1000),
    ("ec2", "DescribeSecurityGroups", "MaxResults"): (5, 1000),
    ("ec2", "DescribeSnapshots", "MaxResults"): (5, 1000),
    ("ec2", "DescribeSubnets", "MaxResults"): (5, 1000),
    ("ec2", "DescribeVolumes", "MaxResults"): (5, 1000),
    ("ec2", "DescribeInstanceTypes", "MaxResults"): (5, 100),
    ("ec2", "GetManagedPrefixListEntries", "MaxResults"): (1, 100),
    ("autoscaling", "DescribeAutoScalingGroups", "MaxRecords"): (1, 100),
    ("autoscaling", "DescribeAutoScalingInstances", "MaxRecords"): (1, 50),
    ("elb", "DescribeLoadBalancers", "PageSize"): (1, 400),
    ("elbv2", "DescribeTargetGroups", "PageSize"): (1, 400),
    ("sqs", "SendMessage", "DelaySeconds"): (0, 900),
    ("sqs", "ReceiveMessage", "MaxNumberOfMessages"): (1, 10),
    ("sqs", "ReceiveMessage", "WaitTimeSeconds"): (0, 20),
}
LISTS = {
    ("autoscaling", "DetachInstances", "InstanceIds"): 20,
    ("autoscaling", "EnterStandby", "InstanceIds"): 20,
    ("autoscaling", "DescribeAutoScalingInstances", "InstanceIds"): 50,
    ("cloudtrail", "LookupEvents", "LookupAttributes"): 1,
    ("ec2", "CreateTags", "Tags"): 50,
    ("ec2", "CreateTags", "Resources"): 1000,
    # The quota for security groups of a network interface, as far as it can be raised.
    # https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
    ("ec2", "ModifyNetworkInterfaceAttribute", "Groups"): 16,
    ("elbv2", "DescribeTargetGroups", "TargetGroupArns"): 20,
    ("securityhub", "BatchUpdateFindings", "FindingIdentifiers"): 100,
    ("guardduty", "GetFindings", "FindingIds"): 50,
}
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
GROUP = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")


def problems(service, operation, given):
    """What of a request AWS would refuse although its model allows it."""
    model, name = operation, operation.name
    for (of, called, member), (least, most) in RANGES.items():
        value = given.get(member)
        if (of, called) == (service, name) and value is not None and not least <= value <= most:
            yield f"{member} is {value}, and not {least} to {most}"
    for (of, called, member), most in LISTS.items():
        size = len(given.get(member) or [])
        if (of, called) == (service, name) and size > most:
            yield f"{member} has {size} members, and at most {most} are taken"
    check = CHECKS.get(service)
    if check:
        yield from check(model, name, given)


def most(what, text, limit, unit="bytes"):
    size = len(text.encode()) if unit == "bytes" else len(text)
    if size > limit:
        yield f"{what} has {size} {unit}, and at most {limit} are taken"


def s3(model, name, given):
    """A bucket of the same name may be another account's: each call says whose it must be."""
    if "ExpectedBucketOwner" in model.input_shape.members:
        owner = given.get("ExpectedBucketOwner") or ""
        if not re.fullmatch(r"[0-9]{12}", owner):
            yield f"ExpectedBucketOwner is {owner!r}, and not an account"
    if name == "PutBucketPolicy":
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
        yield from most("the bucket policy", text(given["Policy"]), 20 * KB)


def iam(_, name, given):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html, without white space."""
    limit = {"PutUserPolicy": 2_048, "PutGroupPolicy": 5_120, "PutRolePolicy": 10_240, "CreatePolicy": 6_144}
    if name in limit:
        document = re.sub(r"\s", "", given["PolicyDocument"])
        yield from most("the policy", document, limit[name], "characters")


def ec2(_, name, given):
    if name == "CreateSecurityGroup":
        for member in ("Description", "GroupName"):
            if not GROUP.fullmatch(given.get(member) or ""):
                yield f"{member} of a security group cannot be {given.get(member)!r}"
        if (given.get("GroupName") or "").startswith("sg-"):
            yield "GroupName of a security group cannot begin with sg-"
    # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
    tags = list(given.get("Tags") or [])
    for specification in given.get("TagSpecifications") or []:
        tags += specification.get("Tags") or []
    for tag in tags:
        key, value = tag.get("Key") or "", tag.get("Value") or ""
        if not 1 <= len(key) <= 128 or key.lower().startswith("aws:"):
            yield f"{key!r} cannot be the key of a tag"
        yield from most(f"the tag {key}", value, 256, "characters")


def ssm(_, name, given):
    """https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"""
    if name == "PutParameter":
        yield from most("the parameter", given["Value"], 8 * KB)
        if given.get("Tier") not in ("Advanced", "Intelligent-Tiering"):
            yield from most("the parameter of the standard tier", given["Value"], 4 * KB)


def sqs(_, name, given):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html: 1 MB, of
    which older queues take 256 KB."""
    if name == "SendMessage":
        yield from most("the message", given["MessageBody"], 256 * KB)
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
        found = re.search(r"[^\u0009\u000a\u000d\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", given["MessageBody"])
        if found:
            yield f"the message has the character {found[0]!r}, which SQS does not take"


def sns(_, name, given):
    """https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
    if name == "Publish":
        yield from most("the message", given["Message"], 256 * KB)
        subject = given.get("Subject")
        if subject is not None and not re.fullmatch(r"[!-~][ -~]{0,99}", subject):
            yield f"the subject {subject!r} is not ASCII of 1 to 100 characters"


def dynamodb(_, name, given):
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""
    writes = [part.get("Update") or {} for part in given.get("TransactItems") or []] or [given]
    for write in writes:
        for member in ("UpdateExpression", "ConditionExpression", "FilterExpression", "KeyConditionExpression"):
            yield from most(member, write.get(member) or "", 4 * KB)
        for key, limit in (("pk", 2_048), ("sk", 1_024)):
            value = (write.get("Key") or {}).get(key, {}).get("S", "-")
            yield from most(f"the key {key}", value, limit)
            if not value:
                yield f"the key {key} is empty"
        values = write.get("ExpressionAttributeValues") or {}
        size = sum(len(str(value).encode()) for value in values.values())
        yield from most("the values of an item", "x" * size, 400 * KB)


def events(_, name, given):
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html: 1 MB for all entries of a call,
    which was 256 KB, and still is for targets."""
    if name == "PutEvents":
        size = 0
        for entry in given["Entries"]:
            size += sum(len((entry.get(member) or "").encode()) for member in ("Source", "DetailType", "Detail"))
            size += 14 if entry.get("Time") else 0
            size += sum(len(resource.encode()) for resource in entry.get("Resources") or [])
            yield from most("DetailType", entry.get("DetailType") or "", 128, "characters")
        yield from most("the entries of a call", "x" * size, 256 * KB)


def invoke(_, name, given):
    """https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: an asynchronous invocation takes 1 MB,
    which was 256 KB."""
    if name == "Invoke":
        yield from most("the payload", text(given.get("Payload") or b""), 256 * KB)


def text(value):
    return value.decode() if isinstance(value, bytes) else value


CHECKS = {
    "dynamodb": dynamodb,
    "ec2": ec2,
    "events": events,
    "iam": iam,
    "lambda": invoke,
    "s3": s3,
    "sns": sns,
    "sqs": sqs,
    "ssm": ssm,
}
