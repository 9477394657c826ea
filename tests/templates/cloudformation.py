"""Reads CloudFormation templates so that the policies in them can be judged.

Functions of CloudFormation become the texts that they stand for. Names that only a deployment gives are made
up; the services, accounts and types in ARNs are those of the resources that the template declares.
"""

import itertools
import re

import yaml

PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "responder",
    "AWS::URLSuffix": "amazonaws.com",
}

# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/, the return values of each type.
ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:us-east-1:111122223333:table/{}",
    "AWS::Events::ApiDestination": "arn:aws:events:us-east-1:111122223333:api-destination/{}",
    "AWS::Events::EventBus": "arn:aws:events:us-east-1:111122223333:event-bus/{}",
    "AWS::Events::Rule": "arn:aws:events:us-east-1:111122223333:rule/{}",
    "AWS::IAM::Role": "arn:aws:iam::111122223333:role/{}",
    "AWS::IAM::User": "arn:aws:iam::111122223333:user/{}",
    "AWS::KMS::Key": "arn:aws:kms:us-east-1:111122223333:key/{}",
    "AWS::Lambda::Function": "arn:aws:lambda:us-east-1:111122223333:function:{}",
    "AWS::Logs::LogGroup": "arn:aws:logs:us-east-1:111122223333:log-group:{}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SNS::Topic": "arn:aws:sns:us-east-1:111122223333:{}",
    "AWS::SQS::Queue": "arn:aws:sqs:us-east-1:111122223333:{}",
    "AWS::Serverless::Function": "arn:aws:lambda:us-east-1:111122223333:function:{}",
}
# Those whose Ref is their ARN.
KNOWN_BY_ARN = {"AWS::SNS::Topic"}

# What whoever deploys gives, where the template says no more about it.
ANY = "arn:*:*:*:*:*"

VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class Unreadable(Exception):
    """A value that only a deployment knows."""


class Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions as their long forms."""


def construct(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", construct)


class Template:
    def __init__(self, text):
        document = yaml.load(text, Loader)
        self.resources = document.get("Resources", {})
        self.parameters = document.get("Parameters", {})

    def texts(self, value):
        """Every text that a value may come to: one of each branch, and each of a list."""
        if isinstance(value, list):
            return [text for part in value for text in self.texts(part)]
        if not isinstance(value, dict):
            return [str(value)]
        if len(value) != 1:
            raise Unreadable(f"{value} is neither a text nor a function of CloudFormation")
        (function, given), = value.items()
        read = {
            "Ref": self.ref,
            "Fn::GetAtt": lambda at: [self.attribute(*at)],
            "Fn::Sub": self.substituted,
            "Fn::If": lambda branches: self.texts(branches[1:]),
            "Fn::Join": lambda of: [of[0].join(self.texts(of[1]))],
            "Fn::Select": lambda of: [self.texts(of[1])[int(of[0])]],
            "Fn::Split": lambda of: [part for text in self.texts(of[1]) for part in text.split(of[0])],
        }.get(function)
        if not read:
            raise Unreadable(f"{function} is not read here")
        return read(given)

    def ref(self, name):
        if name == "AWS::NoValue":
            return []
        if name in PSEUDO:
            return [PSEUDO[name]]
        if name in self.parameters:
            return [str(self.parameters[name].get("Default") or ANY)]
        kind = self.kind(name)
        return [self.arn(name) if kind in KNOWN_BY_ARN else self.name(name)]

    def kind(self, name):
        if name not in self.resources:
            # SAM makes a rule for an event of a function.
            for function, resource in self.resources.items():
                event = name.removeprefix(function)
                if event != name and event in resource.get("Properties", {}).get("Events", {}):
                    return "AWS::Events::Rule"
            raise Unreadable(f"there is no {name}")
        return self.resources[name]["Type"]

    def name(self, name):
        properties = self.resources.get(name, {}).get("Properties", {})
        given = properties.get("Name")
        return self.texts(given)[0] if given else f"responder-{name}"

    def arn(self, name):
        kind = self.kind(name)
        if kind not in ARNS:
            raise Unreadable(f"the ARN of an {kind} is not known here")
        return ARNS[kind].format(self.name(name))

    def attribute(self, name, attribute):
        return self.arn(name) if attribute == "Arn" else f"{self.name(name)}.{attribute}"

    def substituted(self, given):
        text, own = (given, {}) if isinstance(given, str) else given

        def values(match):
            literal, name = match.group(1), match.group(2)
            if literal:
                return ["${" + name + "}"]
            if name in own:
                return self.texts(own[name])
            if "." in name:
                return [self.attribute(*name.split(".", 1))]
            # A part of a text is no ARN.
            return [name if text == ANY else text for text in self.ref(name)]

        choices = [values(match) for match in VARIABLE.finditer(text)]
        constant = VARIABLE.split(text)[::3]
        return [
            "".join(itertools.chain(*itertools.zip_longest(constant, chosen, fillvalue="")))
            for chosen in itertools.product(*choices)
        ]
