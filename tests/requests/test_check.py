"""One request for each kind of mistake, beside one that is right."""

import json
import unittest
from urllib.parse import urlencode

import check
import limits
import models


def query(host, version, action, **members):
    body = urlencode({"Action": action, "Version": version, **members})
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return json.dumps({"method": "POST", "uri": f"https://{host}.amazonaws.com/", "headers": headers, "body": body})


def iam(action, **members):
    return query("iam", "2010-05-08", action, **members)


def ec2(action, **members):
    return query("ec2.us-east-1", "2016-11-15", action, **members)


def sns(**members):
    return query("sns.us-east-1", "2010-03-31", "Publish", TopicArn="arn:aws:sns:us-east-1:111122223333:t", **members)


def targeted(host, target, version, given):
    headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
    uri = f"https://{host}.us-east-1.amazonaws.com/"
    return json.dumps({"method": "POST", "uri": uri, "headers": headers, "body": json.dumps(given)})


def s3(method, query_string, owner=None, body=""):
    headers = {"x-amz-expected-bucket-owner": owner} if owner else {}
    uri = f"https://exposed.s3.us-east-1.amazonaws.com/?{query_string}"
    return json.dumps({"method": method, "uri": uri, "headers": headers, "body": body})


def send(**members):
    queue = "https://sqs.us-east-1.amazonaws.com/111122223333/q"
    given = {"QueueUrl": queue, "MessageBody": "text", **members}
    return targeted("sqs", "AmazonSQS.SendMessage", "1.0", given)


def write(**members):
    key = {"pk": {"S": "INCIDENT#1"}, "sk": {"S": "s3"}}
    given = {"TableName": "incidents", "Key": key, "UpdateExpression": "SET a = :a", **members}
    return targeted("dynamodb", "DynamoDB_20120810.UpdateItem", "1.0", given)


class Requests(unittest.TestCase):
    def right(self, line, name):
        self.assertEqual((name, []), check.of_line(line))

    def wrong(self, line, *words):
        _, found = check.of_line(line)
        self.assertTrue(found, f"nothing is found in {line}")
        for word in words:
            self.assertIn(word, " ".join(found))

    def test_a_member_that_is_missing(self):
        self.right(iam("GetUser", UserName="mallory"), "iam:GetUser")
        self.wrong(iam("GetUserPolicy", UserName="mallory"), "PolicyName is missing")

    def test_a_text_that_is_too_long_or_empty(self):
        self.wrong(iam("GetUser", UserName="m" * 129), "129 characters")
        self.wrong(iam("GetUser", UserName=""), "0 characters")

    def test_a_text_that_does_not_match_its_pattern(self):
        self.wrong(iam("GetUser", UserName="mal/lory"), "does not match")

    def test_a_value_that_is_not_one_of_those_listed(self):
        key = "AKIAIOSFODNN7EXAMPLE"
        self.right(iam("UpdateAccessKey", AccessKeyId=key, Status="Inactive"), "iam:UpdateAccessKey")
        self.wrong(iam("UpdateAccessKey", AccessKeyId=key, Status="Off"), "not one of")

    def test_a_page_that_is_too_large(self):
        look = "CloudTrail_20131101.LookupEvents"
        self.right(targeted("cloudtrail", look, "1.1", {"MaxResults": 50}), "cloudtrail:LookupEvents")
        self.wrong(targeted("cloudtrail", look, "1.1", {"MaxResults": 51}), "51", "1 to 50")
        self.wrong(ec2("DescribeSubnets", MaxResults=1001), "1001")

    def test_more_than_a_call_takes_at_once(self):
        ids = {f"InstanceIds.member.{n}": f"i-{n:017x}" for n in range(1, 22)}
        call = query("autoscaling.us-east-1", "2011-01-01", "DetachInstances", AutoScalingGroupName="web",
                     ShouldDecrementDesiredCapacity="false", **ids)
        self.wrong(call, "21 members")

    def test_a_bucket_without_its_owner(self):
        self.right(s3("GET", "acl", "111122223333"), "s3:GetBucketAcl")
        self.wrong(s3("GET", "acl"), "ExpectedBucketOwner")
        self.wrong(s3("GET", "acl", "somebody"), "ExpectedBucketOwner")

    def test_every_call_of_s3_that_takes_an_owner_is_asked_for_it(self):
        model = models.get_service_model("s3")
        taking = [n for n in model.operation_names if "ExpectedBucketOwner" in model_of(model, n)]
        self.assertGreater(len(taking), 60)
        for name in taking:
            given = {"Policy": ""} if name == "PutBucketPolicy" else {}
            self.assertTrue(list(limits.s3(model.operation_model(name), name, given)), name)

    def test_policies_that_are_too_large(self):
        for action, member, most in (("PutUserPolicy", "UserName", 2048), ("PutRolePolicy", "RoleName", 10240)):
            whole = {"PolicyName": "p", member: "mallory"}
            # White space does not count.
            self.right(iam(action, PolicyDocument="x " * most, **whole), f"iam:{action}")
            self.wrong(iam(action, PolicyDocument="x" * (most + 1), **whole), str(most))
        self.wrong(s3("PUT", "policy", "111122223333", "x" * 20_481), "20480")

    def test_names_of_groups_and_tags(self):
        group = {"GroupName": "gdr-isolation", "VpcId": "vpc-1"}
        self.right(ec2("CreateSecurityGroup", GroupDescription="Isolates instances.", **group), "ec2:CreateSecurityGroup")
        self.wrong(ec2("CreateSecurityGroup", GroupDescription="it’s isolated", **group), "Description")
        tag = {"ResourceId.1": "i-0abc1234def567890", "Tag.1.Key": "gdr:incident"}
        self.right(ec2("CreateTags", **tag, **{"Tag.1.Value": "x" * 256}), "ec2:CreateTags")
        self.wrong(ec2("CreateTags", **tag, **{"Tag.1.Value": "x" * 257}), "257")

    def test_parameters_and_their_tiers(self):
        def put(size, **members):
            given = {"Name": "/p", "Type": "String", "Value": "x" * size, **members}
            return targeted("ssm", "AmazonSSM.PutParameter", "1.1", given)

        self.right(put(4096), "ssm:PutParameter")
        self.wrong(put(4097), "standard tier")
        self.right(put(4097, Tier="Intelligent-Tiering"), "ssm:PutParameter")
        self.wrong(put(8193, Tier="Advanced"), "8192")

    def test_messages(self):
        self.right(send(DelaySeconds=900), "sqs:SendMessage")
        self.wrong(send(DelaySeconds=901), "901")
        self.wrong(send(MessageBody="x" * (256 * 1024 + 1)), "262144")
        self.wrong(send(MessageBody="\x00"), "does not take")

    def test_subjects(self):
        self.right(sns(Message="text", Subject="x" * 100), "sns:Publish")
        for subject in ("x" * 101, "Zürich", "two\nlines", " begins with a blank"):
            self.wrong(sns(Message="text", Subject=subject), "subject")

    def test_writes_of_the_table(self):
        self.right(write(), "dynamodb:UpdateItem")
        self.wrong(write(UpdateExpression="x" * 4097), "UpdateExpression")
        self.wrong(write(ExpressionAttributeValues={":a": {"S": "x" * 409_601}}), "409600")
        self.wrong(write(Key={"pk": {"S": "x" * 2049}, "sk": {"S": "s3"}}), "2048")

    def test_events_and_payloads(self):
        def put(size):
            entry = {"Source": "guardduty-responder", "DetailType": "GuardDuty Response", "Detail": "x" * size}
            return targeted("events", "AWSEvents.PutEvents", "1.1", {"Entries": [entry]})

        self.right(put(1000), "events:PutEvents")
        self.wrong(put(256 * 1024), "262144")
        uri = "https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/function/invocations"
        call = {"method": "POST", "uri": uri, "headers": {"x-amz-invocation-type": "Event"}, "body": "x" * 262_145}
        self.wrong(json.dumps(call), "262144")

    def test_what_no_model_describes(self):
        for target in ("DynamoDB_20120810.Unknown", "Another.UpdateItem", ""):
            with self.assertRaises(models.Unknown):
                check.of_line(targeted("dynamodb", target, "1.0", {}))
        for uri in ("https://example.com/", "https://iam.amazonaws.com/"):
            with self.assertRaises(Exception):
                check.of_line(json.dumps({"method": "GET", "uri": uri, "headers": {}, "body": ""}))


def model_of(model, name):
    shape = model.operation_model(name).input_shape
    return shape.members if shape else {}


if __name__ == "__main__":
    unittest.main()
