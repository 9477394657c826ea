"""Each kind of void statement is found: in samples, and in every policy of the project when it is changed so."""

import re
import unittest
from pathlib import Path

import policies
import reference
import sources
from policies import ANY_ONE, IDENTITY, Policy, Statement

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "111122223333"
ROLE = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: sample
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - {effect}
"""


def found(statement, template=ROLE):
    read = list(sources.of_template("sample", template.replace("{effect}", statement)))
    unreadable = [text for text in read if isinstance(text, str)]
    return unreadable + list(policies.problems([p for p in read if isinstance(p, Policy)]))


class Samples(unittest.TestCase):
    def void(self, statement, *words):
        problems = found(statement)
        self.assertTrue(problems, f"nothing is found in {statement}")
        for word in words:
            self.assertIn(word, " ".join(problems))

    def good(self, statement):
        self.assertEqual([], found(statement))

    def test_an_action_that_is_misspelt(self):
        self.void('{Effect: Allow, Action: "s3:GetBucketPolicies", Resource: "*"}', "s3:GetBucketPolicies")
        self.void('{Effect: Allow, Action: "s4:GetBucketPolicy", Resource: "*"}', "no service s4")
        self.void('{Effect: Deny, Action: "s3:Fetch*", Resource: "*"}', "s3:Fetch*")
        self.void('{Effect: Allow, Action: "s3:getBucketPolicy", Resource: "*"}', "s3:GetBucketPolicy")
        self.good('{Effect: Allow, Action: "s3:GetBucketPolicy", Resource: "*"}')
        self.good('{Effect: Deny, Action: "s3:*", Resource: "*"}')

    def test_an_arn_of_a_type_that_the_action_does_not_take(self):
        self.void(
            '{Effect: Allow, Action: "s3:GetBucketPolicy", Resource: "arn:aws:s3:::evidence/*"}',
            "arn:aws:s3:::evidence/*",
        )
        self.void('{Effect: Allow, Action: "s3:PutObject", Resource: "arn:aws:s3:::evidence"}', "s3:PutObject")
        self.good('{Effect: Allow, Action: "s3:PutObject", Resource: "arn:aws:s3:::evidence/s3/*"}')
        self.void(
            '{Effect: Allow, Action: "iam:GetUser", Resource: "arn:aws:iam::111122223333:role/*"}', "iam:GetUser"
        )
        # Snapshots have no account in their ARNs.
        self.void(
            '{Effect: Deny, Action: "ec2:CreateTags", Resource: "arn:aws:ec2:*:111122223333:snapshot/*"}', "snapshot"
        )
        self.good('{Effect: Deny, Action: "ec2:CreateTags", Resource: "arn:aws:ec2:*::snapshot/*"}')

    def test_an_arn_for_an_action_that_knows_no_resource(self):
        self.void(
            '{Effect: Allow, Action: "s3:ListAllMyBuckets", Resource: "arn:aws:s3:::*"}', "no resource but *"
        )

    def test_a_resource_that_no_action_of_the_statement_takes(self):
        self.void(
            '{Effect: Allow, Action: "iam:GetUser", Resource: '
            '["arn:aws:iam::111122223333:user/*", "arn:aws:iam::111122223333:group/*"]}',
            "group/*",
        )
        self.void('{Effect: Allow, Action: "iam:GetUser", Resource: "user/*"}', "is not an ARN")

    def test_a_condition_key_that_the_action_does_not_know(self):
        users = "arn:aws:iam::111122223333:user/*"
        self.void(
            f'{{Effect: Deny, Action: "iam:UpdateAccessKey", Resource: "{users}", '
            'Condition: {StringEquals: {"aws:RequestTag/gdr:role": isolation}}}',
            "aws:RequestTag/gdr:role",
        )
        self.good(
            f'{{Effect: Deny, Action: "iam:UpdateAccessKey", Resource: "{users}", '
            'Condition: {StringEquals: {"aws:ResourceTag/gdr:contained": "true"}}}'
        )
        self.void(
            '{Effect: Allow, Action: "sns:Publish", Resource: "*", Condition: {Bool: {"s3:TlsVersion": "1.2"}}}',
            "s3:TlsVersion",
        )

    def test_a_condition_key_that_one_of_the_resources_does_not_know(self):
        # A group that is made has the tags of the request, the VPC that it is made in has not.
        self.void(
            '{Effect: Allow, Action: "ec2:CreateSecurityGroup", Resource: '
            '["arn:aws:ec2:*:111122223333:security-group/*", "arn:aws:ec2:*:*:vpc/*"], '
            'Condition: {StringEquals: {"aws:RequestTag/gdr:role": isolation}}}',
            "aws:RequestTag/gdr:role",
        )

    def test_an_operator_that_does_not_exist(self):
        self.void(
            '{Effect: Allow, Action: "sns:Publish", Resource: "*", Condition: {StringMatch: {"aws:PrincipalArn": a}}}',
            "StringMatch",
        )

    def test_keys_that_other_kinds_of_policies_have(self):
        self.void(
            '{Effect: Allow, Action: "sns:Publish", Resource: "*", Condition: {ArnLike: {"aws:SourceArn": a}}}',
            "aws:SourceArn",
        )
        self.good(
            '{Effect: Deny, Action: "*", Resource: "*", Condition: {ArnNotLike: {"lambda:SourceFunctionArn": a}}}'
        )
        topic = """
Resources:
  Topic: {Type: AWS::SNS::Topic}
  Policy:
    Type: AWS::SNS::TopicPolicy
    Properties:
      PolicyDocument:
        Statement:
          - {effect}
"""
        allow = 'Effect: Allow, Principal: {Service: events.amazonaws.com}, Action: "sns:Publish", Resource: !Ref Topic'
        self.assertEqual([], found(f'{{{allow}, Condition: {{ArnLike: {{"aws:SourceArn": a}}}}}}', topic))
        of_code = found(f'{{{allow}, Condition: {{ArnLike: {{"lambda:SourceFunctionArn": a}}}}}}', topic)
        self.assertIn("lambda:SourceFunctionArn", " ".join(of_code))

    def test_a_required_resource_that_is_not_granted(self):
        instance, volume = "arn:aws:ec2:*:111122223333:instance/*", "arn:aws:ec2:*:111122223333:volume/*"
        both = f'["{instance}", "{volume}"'
        allow = "Effect: Allow, Action: ec2:CreateSnapshots, Resource:"
        self.void(f"{{{allow} {both}]}}", "type snapshot")
        self.good(f'{{{allow} {both}, "arn:aws:ec2:*::snapshot/*"]}}')
        # By a condition that the snapshot, which does not exist yet, cannot meet.
        self.void(
            f'{{{allow} "*", Condition: {{StringEquals: {{"aws:ResourceTag/gdr:role": isolation}}}}}}', "type snapshot"
        )

    def test_what_is_not_a_member_of_a_statement(self):
        self.void('{Effect: Allow, Actions: "sns:Publish", Resource: "*"}', "Actions")
        self.void('{Effect: Permit, Action: "sns:Publish", Resource: "*"}', "Permit")

    def test_what_a_statement_is_not_about(self):
        queue = "arn:aws:sqs:*:*:responder-*"
        self.good(f'{{Effect: Deny, NotAction: ["sqs:Get*", "sqs:SendMessage"], Resource: "{queue}"}}')
        self.void(f'{{Effect: Deny, NotAction: ["sqs:Gets*"], Resource: "{queue}"}}', "sqs:Gets*")
        self.void('{Effect: Deny, NotAction: "sqs:Get*", Resource: "arn:aws:iam::*:roles/*"}', "no type of resource")
        self.void('{Effect: Deny, Action: "*", Resource: "arn:aws:queues:*:*:*"}', "no type of resource")

    def test_what_whoever_deploys_gives(self):
        given = """
Parameters:
  Principals: {Type: String, Default: ""}
  Name: {Type: String, Default: a-stack}
Resources:
  Policy:
    Type: AWS::IAM::Policy
    Properties:
      PolicyDocument:
        Statement:
          - {effect}
"""
        split = '{Effect: Deny, Action: "iam:TagUser", Resource: !Split [",", !Ref Principals]}'
        self.assertEqual([], found(split, given))
        cut = '{Effect: Deny, Action: "sqs:SendMessage", Resource: !Sub ["arn:aws:sqs:*:*:${Word}-*", ' \
            '{Word: !Select [0, !Split ["-", !Ref Name]]}]}'
        self.assertEqual([], found(cut, given))
        self.assertIn("sqs:SendMessage", " ".join(found(cut.replace(":sqs:*", ":sns:*"), given)))

    def test_what_cannot_be_read_is_told(self):
        self.void('{Effect: Allow, Action: "sns:Publish", Resource: !ImportValue topic}', "Fn::ImportValue")
        self.void('{Effect: Allow, Action: "sns:Publish", Resource: !Ref Nothing}', "there is no Nothing")

    def test_each_exception_is_one_in_the_reference(self):
        for name in ANY_ONE:
            (action,), _ = policies.expand(name)
            self.assertGreater(sum(kind.required for kind in action.types), 1, name)


class Project(unittest.TestCase):
    """What the project deploys, with one thing changed."""

    @classmethod
    def setUpClass(cls):
        cls.policies, cls.unreadable = sources.of_project(ROOT)

    def changed(self, change):
        """Every policy with one of its statements changed, in each way."""
        for policy in self.policies:
            for index, statement in enumerate(policy.statements):
                for other in change(statement, policy):
                    statements = [*policy.statements[:index], other, *policy.statements[index + 1 :]]
                    yield policy._replace(statements=statements), index, other

    def each_is_found(self, change, least):
        tried = 0
        for policy, index, other in self.changed(change):
            tried += 1
            problems = list(policies.of_statement(other, policy.kind))
            self.assertTrue(problems, f"nothing is found in {policy.where}, statement {index + 1}: {other}")
        self.assertGreaterEqual(tried, least)

    def test_nothing_is_void(self):
        self.assertEqual([], self.unreadable + list(policies.problems(self.policies)))

    def test_all_kinds_of_policies_are_found(self):
        self.assertEqual({p.kind for p in self.policies}, {"identity", "resource", "trust", "organization"})

    def test_each_action_misspelt_is_found(self):
        def change(statement, _):
            for action in statement.actions or []:
                if action != "*":
                    yield statement._replace(actions=[f"{a}x" if a == action else a for a in statement.actions])

        self.each_is_found(change, 300)

    def test_each_resource_of_another_type_is_found(self):
        def change(statement, _):
            for resource in statement.resources or []:
                if resource != "*" and "*" not in (statement.actions or ["*"]):
                    other = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/*"
                    yield statement._replace(resources=[other if r == resource else r for r in statement.resources])

        self.each_is_found(change, 80)

    def test_each_condition_key_that_nothing_knows_is_found(self):
        def change(statement, _):
            for operator, key in statement.conditions:
                if "*" not in (statement.actions or ["*"]):
                    others = [(o, "aws:NoSuchKey" if k == key else k) for o, k in statement.conditions]
                    yield statement._replace(conditions=others)

        self.each_is_found(change, 50)

    def test_each_required_resource_that_is_taken_away_is_found(self):
        tried = 0
        owners = {}
        for policy in self.policies:
            if policy.kind == IDENTITY:
                owners.setdefault(policy.owner, []).extend(policy.statements)
        for owner, statements in owners.items():
            granted = [s for s in statements if s.effect == "Allow"]
            for name in sorted({name for s in granted for name in s.actions}):
                action = policies.expand(name)[0][0]
                needed = [kind for kind in action.types if kind.required]
                if len(needed) < 2 or name in ANY_ONE:
                    continue
                for kind in needed:
                    tried += 1
                    left = [without(s, action, kind) if name in s.actions else s for s in granted]
                    problems = " ".join(policies.not_granted(left))
                    # One resource may be of several types: a pattern for tables covers their streams, too.
                    told = rf"{name} needs a resource of the type [a-z* and-]*\b{re.escape(kind.name)}\b"
                    self.assertRegex(problems, told, owner)
        self.assertGreaterEqual(tried, 6)


def without(statement, action, kind):
    left = [r for r in statement.resources if r != "*" and kind not in policies.kinds(action, r)]
    return statement._replace(resources=left)


class Reference(unittest.TestCase):
    def test_patterns_meet_within_their_parts(self):
        table = [
            ("arn:aws:s3:::*", "arn:${Partition}:s3:::${BucketName}", True),
            ("arn:aws:s3:::b/*", "arn:${Partition}:s3:::${BucketName}", False),
            ("arn:aws:s3:::b/s3/*", "arn:${Partition}:s3:::${BucketName}/${ObjectName}", True),
            ("arn:aws:iam::1:role/path/*", "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}", True),
            ("arn:aws:iam::1:role/*", "arn:${Partition}:iam::${Account}:user/${UserNameWithPath}", False),
            ("arn:aws:iam:*:1:role/*", "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}", True),
            ("arn:aws:iam:us-east-1:1:role/*", "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}", False),
        ]
        for resource, form, expected in table:
            self.assertEqual(policies.overlap(resource, form), expected, f"{resource} and {form}")

    def test_keys_with_a_part_of_the_customers_choosing(self):
        self.assertTrue(reference.listed("aws:RequestTag/gdr:role", {"aws:RequestTag/${TagKey}"}))
        self.assertTrue(reference.listed("AWS:requesttag/gdr:role", {"aws:RequestTag/${TagKey}"}))
        self.assertTrue(reference.listed("s3:RequestObjectTag/gdr:role", {"s3:RequestObjectTag/<key>"}))
        self.assertFalse(reference.listed("s3:RequestObjectTagKeys", {"s3:RequestObjectTag/<key>"}))
        self.assertFalse(reference.listed("aws:RequestTag", {"aws:RequestTag/${TagKey}"}))
        self.assertFalse(reference.listed("aws:RequestTags/a", {"aws:RequestTag/${TagKey}"}))


class Documents(unittest.TestCase):
    def test_policies_of_documents_are_read(self):
        text = '{"Statement": [{"Effect": "Allow", "Action": "sns:Publishes", "Resource": "*"}]}'
        (policy,) = sources.of_json("a document", text)
        self.assertEqual(policy.statements, [Statement("Allow", ["sns:Publishes"], ["*"], [])])
        self.assertIn("sns:Publishes", " ".join(policies.problems([policy])))


if __name__ == "__main__":
    unittest.main()
