"""Checks the templates with checkov, and their conditions against AWS's Service Authorization Reference.

What checkov finds must be accepted in `accepted.yaml`, with a reason; an entry there that it does not find
any more must go. A condition key that an action does not know would refuse the action always, or never,
so each must be one that the reference lists for it; policy_sentry, which checkov brings along, holds it.
"""

import re
import sys
from pathlib import Path

import yaml
from checkov.cloudformation.runner import Runner
from checkov.runner_filter import RunnerFilter
from policy_sentry.shared.iam_data import get_service_prefix_data

ROOT = Path(__file__).resolve().parents[2]
ACCEPTED = Path(__file__).with_name("accepted.yaml")
TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "infra").glob("*.yaml"))]

# What the reference leaves out, and the guides of EC2 and Security Hub show:
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
# https://docs.aws.amazon.com/securityhub/latest/userguide/batchupdatefindings-configure-access.html
DOCUMENTED = {
    ("ec2:CreateTags", "aws:TagKeys"),
    ("ec2:CreateTags", "aws:RequestTag/gdr:role"),
    ("securityhub:BatchUpdateFindings", "securityhub:ASFFSyntaxPath/Workflow.Status"),
}

# Where a key has a part of the customer's choosing.
VARIABLE = re.compile(r"^(aws:(?:RequestTag|ResourceTag))/.+$")


def unaccepted():
    """Findings that nobody accepted, and acceptances of what is not found."""
    accepted = yaml.safe_load(ACCEPTED.read_text())
    report = Runner().run(
        root_folder=None,
        files=[str(template) for template in TEMPLATES],
        runner_filter=RunnerFilter(framework=["cloudformation"]),
    )
    for file in report.parsing_errors:
        yield f"checkov cannot read {file}"
    if not report.passed_checks:
        yield "checkov checked nothing"
    stale = {(check, resource) for check, entry in accepted.items() for resource in entry["resources"]}
    for check, entry in accepted.items():
        if not entry.get("reason", "").strip():
            yield f"{check} is accepted without a reason in {ACCEPTED.name}"
    for finding in report.failed_checks:
        resource = finding.resource.rsplit(".", 1)[-1]
        if (finding.check_id, resource) in stale:
            stale.discard((finding.check_id, resource))
        elif resource not in accepted.get(finding.check_id, {}).get("resources", []):
            where = Path(finding.file_path).name
            yield f"{finding.check_id} of {resource} in {where} is not accepted: {finding.check_name}"
    for check, resource in sorted(stale):
        yield f"{check} is accepted for {resource}, and not found there any more"


class Template(yaml.SafeLoader):
    """Reads templates, whose functions of CloudFormation become None."""


Template.add_multi_constructor("!", lambda loader, suffix, node: None)


def documents(value):
    """Every policy document of an identity within a part of a template."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "PolicyDocument":
                yield part
            elif key != "AssumeRolePolicyDocument":
                yield from documents(part)
    elif isinstance(value, list):
        for part in value:
            yield from documents(part)


def unknown():
    """Actions that the reference does not list, and keys that it does not list for the action."""
    identities = ("AWS::IAM::Role", "AWS::IAM::Policy")
    for template in TEMPLATES:
        resources = yaml.load(template.read_text(), Template)["Resources"]
        for name, resource in resources.items():
            if resource["Type"] not in identities:
                continue
            for statement in (s for document in documents(resource) for s in document["Statement"]):
                actions = statement.get("Action", statement.get("NotAction"))
                for action in [actions] if isinstance(actions, str) else actions:
                    for problem in problems(action, statement.get("Condition", {})):
                        yield f"{template.name}, {name}: {problem}"


def problems(action, condition):
    service, operation = action.split(":")
    privilege = get_service_prefix_data(service)["privileges"].get(operation)
    if not privilege:
        yield f"there is no action {action}"
        return
    # Those of the action itself are with the resource type that has no name.
    known = {key for kind in privilege["resource_types"].values() for key in kind["condition_keys"]}
    for keys in condition.values():
        for key in keys:
            listed = VARIABLE.sub(r"\1/${TagKey}", key) in known
            if listed == ((action, key) in DOCUMENTED):
                known_by = "by now" if listed else "not"
                yield f"the condition key {key} of {action} is {known_by} in the reference"


def main():
    found = [*unaccepted(), *unknown()]
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
