"""The handler of the textbook kind: what a finding asks for, call after call, with boto3.

After AWS's own samples: the bucket's public access is blocked, the key deactivated, the instance's groups
replaced by one without rules. Nothing is observed first, read back, recorded, limited or undone.
"""

import boto3

GROUP = "textbook-isolation"


def s3(event, _context):
    client = boto3.client("s3")
    flags = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    for bucket in event["detail"]["resource"]["s3BucketDetails"]:
        client.put_public_access_block(
            Bucket=bucket["name"],
            PublicAccessBlockConfiguration=dict.fromkeys(flags, True),
        )
    return "blocked"


def iam(event, _context):
    client = boto3.client("iam")
    details = event["detail"]["resource"]["accessKeyDetails"]
    client.update_access_key(
        UserName=details["userName"], AccessKeyId=details["accessKeyId"], Status="Inactive"
    )
    return "deactivated"


def ec2(event, _context):
    client = boto3.client("ec2")
    instance = event["detail"]["resource"]["instanceDetails"]["instanceId"]
    found = client.describe_instances(InstanceIds=[instance])
    found = found["Reservations"][0]["Instances"][0]
    for interface in found["NetworkInterfaces"]:
        client.modify_network_interface_attribute(
            NetworkInterfaceId=interface["NetworkInterfaceId"],
            Groups=[isolation_group(client, interface["VpcId"])],
        )
    return "isolated"


def isolation_group(client, vpc):
    filters = [
        {"Name": "vpc-id", "Values": [vpc]},
        {"Name": "group-name", "Values": [GROUP]},
    ]
    found = client.describe_security_groups(Filters=filters)["SecurityGroups"]
    if found:
        return found[0]["GroupId"]
    group = client.create_security_group(GroupName=GROUP, Description="Isolates", VpcId=vpc)
    group = group["GroupId"]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    client.revoke_security_group_egress(GroupId=group, IpPermissions=everything)
    return group
