"""Finds every policy that the project deploys or tells its users to make."""

import json
import re

import policies
from cloudformation import Template, Unreadable

FENCED = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)


def of_project(root):
    """All policies, and what could not be read."""
    found, unreadable = [], []
    for path in [root / "template.yaml", *sorted((root / "infra").rglob("*.yaml"))]:
        for read in of_template(path.name, path.read_text()):
            (found if isinstance(read, policies.Policy) else unreadable).append(read)
    for path in sorted((root / "infra").rglob("*.json")):
        found.extend(of_json(path.name, path.read_text()))
    for path in [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]:
        for number, text in enumerate(FENCED.findall(path.read_text()), 1):
            if '"Statement"' in text:
                found.extend(of_json(f"{path.name}, policy {number}", text))
    return found, unreadable


def of_template(name, text):
    """The policies of a template, and a text for each that cannot be read."""
    template = Template(text)
    for logical, resource in template.resources.items():
        where = f"{name}, {logical}"
        owners = [logical]
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
            attached = resource["Properties"]
            owners = [
                owner
                for to in ("Roles", "Users", "Groups", "RoleName")
                for owner in (attached.get(to) if isinstance(attached.get(to), list) else [attached.get(to)])
                if owner
            ]
            owners = [owner.get("Ref", where) if isinstance(owner, dict) else owner for owner in owners]
        for member, document in documents(resource.get("Properties", {})):
            kind = kind_of(resource["Type"], member, document)
            for owner in owners or [logical]:
                try:
                    statements = [one(s, template.texts) for s in statements_of(document)]
                except (Unreadable, KeyError) as problem:
                    yield f"{where}: {problem}"
                    break
                yield policies.Policy(where, kind, f"{name}, {owner}", statements)
                if kind != policies.IDENTITY:
                    break


def documents(value, member=None):
    """Every policy document within a part of a template, with the member that holds it."""
    if isinstance(value, dict):
        if "Statement" in value:
            yield member, value
            return
        for key, part in value.items():
            yield from documents(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from documents(part, member)


def kind_of(resource_type, member, document):
    if member == "AssumeRolePolicyDocument":
        return policies.TRUST
    if resource_type == "AWS::Organizations::Policy":
        return policies.ORGANIZATION
    about_others = any("Principal" in s or "NotPrincipal" in s for s in statements_of(document))
    return policies.RESOURCE if about_others else policies.IDENTITY


def statements_of(document):
    """The statements, those of both branches where CloudFormation chooses."""
    return list(flat(document["Statement"]))


def flat(value):
    if isinstance(value, list):
        for part in value:
            yield from flat(part)
    elif "Fn::If" in value:
        yield from flat(value["Fn::If"][1:])
    elif value != {"Ref": "AWS::NoValue"}:
        yield value


def of_json(where, text):
    try:
        document = json.loads(text)
    except json.JSONDecodeError as problem:
        raise SystemExit(f"{where} is not JSON: {problem}") from problem
    kind = kind_of("", None, document)

    def texts(value):
        return value if isinstance(value, list) else [value]

    yield policies.Policy(where, kind, where, [one(s, texts) for s in statements_of(document)])


def one(given, texts):
    unknown = set(given) - policies.MEMBERS
    if unknown:
        raise Unreadable(f"a statement has no member {', '.join(sorted(unknown))}")
    return policies.Statement(
        given.get("Effect", ""),
        texts(given["Action"]) if "Action" in given else None,
        texts(given["Resource"]) if "Resource" in given else None,
        [(operator, key) for operator, keys in given.get("Condition", {}).items() for key in keys],
        tuple(texts(given["NotAction"])) if "NotAction" in given else (),
    )
