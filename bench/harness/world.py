"""What is attacked: a bucket, a user's key, an instance; made anew for each measurement.

Everything is made past the proxy, and asked past it whether it is contained.
"""

import copy
import datetime
import json
import pathlib
import uuid

import boto3
from botocore.config import Config

ACCOUNT, REGION = "111122223333", "us-east-1"
FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "tests" / "fixtures"
ROOT = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}


def client(service, url):
    config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(service, endpoint_url=url, config=config, **ROOT)


def finding(fixture, resource):
    """A finding that was made just now. `resource` is merged into its own."""
    event = json.loads((FIXTURES / f"{fixture}.json").read_text())
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    detail, identity = event["detail"], uuid.uuid4().hex
    detail["id"], detail["updatedAt"] = identity, now
    detail["arn"] = detail["arn"].rsplit("/", 1)[0] + f"/{identity}"
    detail["service"]["eventLastSeen"] = now
    event["time"] = now
    merge(detail["resource"], resource)
    return event


def merge(into, changes):
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        elif isinstance(value, list) and into.get(key) and isinstance(value[0], dict):
            into[key] = [{**copy.deepcopy(into[key][0]), **one} for one in value]
        else:
            into[key] = value


class Bucket:
    """A bucket that anybody may read."""

    category, containing = "s3", {"PutPublicAccessBlock"}

    def __init__(self, aws, _ec2):
        self.s3, self.name = client("s3", aws), f"bench-{uuid.uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=self.name)
        self.s3.delete_public_access_block(Bucket=self.name)
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{self.name}/*",
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self.s3.put_bucket_policy(Bucket=self.name, Policy=json.dumps(policy))

    def event(self):
        bucket = {"arn": f"arn:aws:s3:::{self.name}", "name": self.name}
        return finding("bucket-made-public", {"s3BucketDetails": [bucket]})

    def is_contained(self):
        try:
            answer = self.s3.get_public_access_block(Bucket=self.name)
        except self.s3.exceptions.ClientError:
            return False
        return all(answer["PublicAccessBlockConfiguration"].values())


class Key:
    """A user whose access key was stolen."""

    category = "iam"
    containing = {"AttachUserPolicy", "PutUserPolicy", "UpdateAccessKey"}

    def __init__(self, aws, _ec2):
        self.iam, self.name = client("iam", aws), f"bench-{uuid.uuid4().hex[:12]}"
        self.user = self.iam.create_user(UserName=self.name)["User"]
        self.key = self.iam.create_access_key(UserName=self.name)["AccessKey"]["AccessKeyId"]

    def event(self):
        details = {
            "accessKeyId": self.key,
            "principalId": self.user["UserId"],
            "userName": self.name,
        }
        return finding("stolen-key", {"accessKeyDetails": details})

    def is_contained(self):
        keys = self.iam.list_access_keys(UserName=self.name)["AccessKeyMetadata"]
        attached = self.iam.list_attached_user_policies(UserName=self.name)["AttachedPolicies"]
        denied = any(policy["PolicyName"] == "AWSDenyAll" for policy in attached)
        return denied or all(key["Status"] == "Inactive" for key in keys)


class Instance:
    """An instance with one interface, in a VPC of its own. It has no instance profile: moto cannot tell how
    many instances have one, and answers with errors that are retried."""

    category, containing = "ec2", {"ModifyNetworkInterfaceAttribute"}
    # moto has no list of allowed values for it, and any image will do.
    image = "ami-12c6146b"

    def __init__(self, _aws, ec2, beside=None):
        self.ec2 = client("ec2", ec2)
        if beside is None:
            vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
            subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]
            self.vpc, self.subnet = vpc, subnet["SubnetId"]
        else:
            self.vpc, self.subnet = beside.vpc, beside.subnet
        group = self.ec2.create_security_group(
            GroupName=f"web-{uuid.uuid4().hex[:8]}", Description="web", VpcId=self.vpc
        )["GroupId"]
        interface = self.ec2.create_network_interface(SubnetId=self.subnet, Groups=[group])
        self.interface = interface["NetworkInterface"]["NetworkInterfaceId"]
        made = self.ec2.run_instances(
            ImageId=self.image,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": self.interface}],
        )
        self.id = made["Instances"][0]["InstanceId"]

    def event(self):
        details = {
            "instanceId": self.id,
            "networkInterfaces": [{"networkInterfaceId": self.interface, "vpcId": self.vpc}],
        }
        return finding("instance-calls-home", {"instanceDetails": details})

    def is_contained(self):
        interface = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[self.interface])
        groups = [group["GroupId"] for group in interface["NetworkInterfaces"][0]["Groups"]]
        found = self.ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"]
        return all(not one["IpPermissions"] and not one["IpPermissionsEgress"] for one in found)


class Stack:
    """The function's table, topic and policies."""

    def __init__(self, aws):
        dynamodb = client("dynamodb", aws)
        self.table = f"bench-{uuid.uuid4().hex[:8]}"
        keys = [("pk", "HASH"), ("sk", "RANGE")]
        dynamodb.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        self.topic = client("sns", aws).create_topic(Name=self.table)["TopicArn"]
        self.policies = f"/{self.table}/policies"
        policies = FIXTURES.parents[1] / "infra" / "policies" / "default.cedar"
        client("ssm", aws).put_parameter(
            Name=self.policies, Type="String", Value=policies.read_text()
        )

    def settings(self):
        return {
            "DRY_RUN": "false",
            "RESPONSE_MODE": "contain",
            "OWN_ACCOUNT_ID": ACCOUNT,
            "INCIDENT_TABLE": self.table,
            "NOTIFICATION_TOPIC_ARN": self.topic,
            "POLICY_PARAMETER": self.policies,
            "METRICS_NAMESPACE": "GuardDutyResponder",
            "MAX_CONTAINMENTS": "500",
            "MAX_SHARE_PERCENT": "100",
        }
