"""What Lambda itself needs of the roles: it polls the queues, writes the log and sends traces by them.

The emulators ask nobody for that, so that it is held against AWS's own lists.
"""

import unittest
from pathlib import Path

import sources
from cloudformation import Template
from policies import IDENTITY

ROOT = Path(__file__).resolve().parents[2]

# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSLambdaSQSQueueExecutionRole.html, without
# logs:CreateLogGroup: the template makes the groups.
POLLS = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
# https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
TRACES = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
HANDS_OVER = {"sqs:SendMessage"}


def needs(template):
    """The role, the actions and the resource of everything that Lambda does around the functions."""
    resources = template.resources
    functions = {n: r["Properties"] for n, r in resources.items() if r["Type"] == "AWS::Serverless::Function"}
    role_of = {name: function["Role"]["Fn::GetAtt"][0] for name, function in functions.items()}
    for name, function in functions.items():
        for event in function["Events"].values():
            if event["Type"] == "SQS":
                yield role_of[name], POLLS, template.texts(event["Properties"]["Queue"])[0]
        log = function["LoggingConfig"]["LogGroup"]["Ref"]
        yield role_of[name], LOGS, template.arn(log)
        yield role_of[name], TRACES, "*"
        yield role_of[name], HANDS_OVER, template.arn("OnFailureQueue")
    for resource in resources.values():
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            mapping = resource["Properties"]
            role = role_of[mapping["FunctionName"]["Ref"]]
            yield role, POLLS, template.texts(mapping["EventSourceArn"])[0]


def missing(wanted, policies):
    """What Lambda needs and no statement of the role allows."""
    for role, actions, resource in wanted:
        statements = [
            statement
            for policy in policies
            if policy.kind == IDENTITY and policy.owner == f"template.yaml, {role}"
            for statement in policy.statements
            if statement.effect == "Allow" and not statement.conditions and resource in statement.resources
        ]
        for action in sorted(actions):
            if not any(action in statement.actions for statement in statements):
                yield role, action, resource


class Polling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.template = Template((ROOT / "template.yaml").read_text())
        cls.policies, _ = sources.of_project(ROOT)
        cls.needs = list(needs(cls.template))

    def test_the_roles_allow_what_lambda_needs(self):
        self.assertEqual([], list(missing(self.needs, self.policies)))
        polled = [need for need in self.needs if need[1] is POLLS]
        self.assertGreaterEqual(len(polled), 4)

    def test_each_action_that_is_taken_away_is_missed(self):
        for role, actions, resource in self.needs:
            for action in actions:
                changed = [self.without(policy, action) for policy in self.policies]
                self.assertIn((role, action, resource), list(missing(self.needs, changed)))

    def without(self, policy, action):
        statements = [
            s._replace(actions=[a for a in s.actions or [] if a != action]) for s in policy.statements
        ]
        return policy._replace(statements=statements)

    def test_no_queue_has_a_key_that_lambda_would_need(self):
        queues = [r for r in self.template.resources.values() if r["Type"] == "AWS::SQS::Queue"]
        self.assertTrue(queues)
        for queue in queues:
            self.assertNotIn("KmsMasterKeyId", queue["Properties"])


if __name__ == "__main__":
    unittest.main()
