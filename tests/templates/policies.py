"""Holds the statements of policies against AWS's Service Authorization Reference.

AWS takes a statement that can never apply without a word: an action that does not exist, an ARN of a type that
the action does not take, a condition key that the action does not know, one of two resources that the action
needs. Each is a problem here, in what is granted as in what is denied.
"""

import fnmatch
import re
from functools import cache
from typing import NamedTuple

import reference

MEMBERS = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
}
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
OPERATOR = re.compile(
    r"^(ForAllValues:|ForAnyValue:)?"
    r"(String(Not)?(Equals|EqualsIgnoreCase|Like)|Arn(Not)?(Equals|Like)|Bool|BinaryEquals|(Not)?IpAddress"
    r"|(Numeric|Date)(Not)?Equals|(Numeric|Date)(Less|Greater)Than(Equals)?)(IfExists)?$|^Null$"
)
# Actions that need any one of the types that the reference marks as required, by what the call is about:
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_GenerateServiceLastAccessedDetails.html
# https://docs.aws.amazon.com/lambda/latest/api/API_PutResourcePolicy.html
ANY_ONE = {"iam:GenerateServiceLastAccessedDetails", "lambda:PutResourcePolicy"}

# Principals' own policies, those of resources, of roles about who may assume them, and of an organization.
IDENTITY, RESOURCE, TRUST, ORGANIZATION = "identity", "resource", "trust", "organization"


class Statement(NamedTuple):
    effect: str
    # None where the statement says what it is not about.
    actions: list
    resources: list
    # Pairs of an operator and a key.
    conditions: list
    # The actions that it is not about.
    not_actions: tuple = ()


class Policy(NamedTuple):
    where: str
    kind: str
    # Whose permissions the policy adds to; the same for all policies of a role.
    owner: str
    statements: list


def problems(policies):
    """Everything in the policies that AWS would take and that could never apply."""
    for policy in policies:
        for number, statement in enumerate(policy.statements, 1):
            for problem in of_statement(statement, policy.kind):
                yield f"{policy.where}, statement {number}: {problem}"
    owners = {}
    for policy in policies:
        if policy.kind == IDENTITY:
            owners.setdefault(policy.owner, []).extend(policy.statements)
    for owner, statements in owners.items():
        for problem in not_granted(statements):
            yield f"{owner}: {problem}"


def of_statement(statement, kind):
    if statement.effect not in ("Allow", "Deny"):
        yield f"the effect {statement.effect} is neither Allow nor Deny"
    for operator, _ in statement.conditions:
        if not OPERATOR.match(operator):
            yield f"there is no operator {operator}"
    taken = set()
    for name in statement.actions or []:
        found, problem = expand(name)
        if problem:
            yield problem
            continue
        yield from of_action(name, found, statement, kind)
        taken.update(r for r in statement.resources or [] for one in found if kinds(one, r))
    for name in statement.not_actions:
        _, problem = expand(name)
        if problem:
            yield problem
    for resource in statement.resources or []:
        if resource == "*":
            continue
        if not resource.startswith("arn:"):
            yield f"{resource} is not an ARN"
        elif statement.actions is None or "*" in statement.actions:
            if not reference.any_type(resource, overlap):
                yield f"no type of resource has ARNs like {resource}"
        elif resource not in taken:
            yield f"no action of the statement takes {resource}"


def expand(name):
    """The actions that a name with wildcards stands for, or what is wrong with it."""
    if name == "*":
        return [], None
    service, _, operation = name.partition(":")
    known = reference.operations(service)
    if known is None:
        return [], f"there is no service {service}, of {name}"
    exact = [own for low, own in known.items() if fnmatch.fnmatchcase(low, operation.lower())]
    if not exact:
        return [], f"there is no action {name}"
    if not re.search(r"[*?]", operation) and exact != [operation]:
        return [], f"{name} is spelt {service}:{exact[0]}"
    return [reference.action(service, own) for own in exact], None


def of_action(name, found, statement, kind):
    if name == "*":
        return
    resources = statement.resources
    if kind == TRUST or resources is None or "*" in resources:
        resources = ["*"]
    taking = [one for one in found if any(kinds(one, resource) or resource == "*" for resource in resources)]
    if not taking:
        takes = ", ".join(sorted({t.name for one in found for t in one.types}))
        yield f"{name} takes {takes or 'no resource but *'}, and none of {', '.join(resources)}"
        return
    for operator, key in statement.conditions:
        if by_anybody(key, kind):
            continue
        if not any(knows(one, operator, key, resources) for one in taking):
            yield f"{name} does not know the condition key {key} for all that the statement names"


def by_anybody(key, kind):
    """Whether requests have a key whatever the action is."""
    keys = set(reference.GLOBAL)
    keys |= reference.BY_SERVICES if kind in (RESOURCE, TRUST) else reference.OF_CALLERS
    return reference.listed(key, keys)


def knows(action, operator, key, resources):
    """Whether an action has a key for each type of resource that a statement names."""
    if reference.listed(key, action.keys):
        return True
    named = {kind for resource in resources for kind in kinds(action, resource)}
    if not named or operator.endswith("IfExists"):
        return any(reference.listed(key, kind.keys) for kind in named or action.types)
    return all(reference.listed(key, kind.keys) for kind in named)


def not_granted(statements):
    """Actions that are granted without a type of resource that they need."""
    granted = [s for s in statements if s.effect == "Allow" and s.actions]
    names = {name for statement in granted for name in statement.actions}
    for name in sorted(names):
        found, problem = expand(name)
        if problem or len(found) != 1 or re.search(r"[*?]", name):
            continue
        needed = [kind for kind in found[0].types if kind.required]
        missing = [
            kind.name
            for kind in needed
            if not any(name in s.actions and covers(s, found[0], kind) for s in granted)
        ]
        if missing and (name not in ANY_ONE or len(missing) == len(needed)):
            yield f"{name} needs a resource of the type {' and '.join(missing)}, which no statement grants"


def covers(statement, action, kind):
    resources = statement.resources
    if resources is not None and not any(r == "*" or kind in kinds(action, r) for r in resources):
        return False
    return all(
        # These hold where a request has no such key.
        operator.startswith("ForAllValues:") or operator.endswith("IfExists")
        or by_anybody(key, IDENTITY)
        or reference.listed(key, action.keys | kind.keys)
        for operator, key in statement.conditions
    )


@cache
def kinds(action, resource):
    """The types of an action that an ARN with wildcards may be one of."""
    return tuple(kind for kind in action.types if overlap(resource, kind.arn)) if resource != "*" else ()


def overlap(resource, arn):
    """Whether an ARN with wildcards and the form of a type's ARNs have an ARN in common."""
    given, form = resource.split(":", 5), arn.split(":", 5)
    if len(given) != 6:
        return False
    # What begins with the customer's own name, as a bucket does, has no folders. Others may.
    plain = form[5].startswith("${")
    form = [re.sub(r"\$\{[^}]*\}", "*", part) for part in form]
    if not all(meet(one, other, True) for one, other in zip(given[:5], form[:5])):
        return False
    if not plain:
        return meet(given[5], form[5], False)
    # As many folders as the form has, of which the last may be anything.
    folders = form[5].count("/")
    ours = given[5].split("/", folders)
    theirs = form[5].split("/", folders)
    if len(ours) <= folders:
        return ours[-1].endswith("*") and all(meet(a, b, True) for a, b in zip(ours, theirs))
    return all(
        meet(a, b, folders == 0 or number < folders) for number, (a, b) in enumerate(zip(ours, theirs))
    )


def meet(one, other, single):
    """Whether two patterns match a text in common; within a single part, no wildcard stands for a slash."""

    @cache
    def at(i, j):
        if i == len(one) and j == len(other):
            return True
        a, b = one[i : i + 1], other[j : j + 1]
        if a == "*" and at(i + 1, j) or b == "*" and at(i, j + 1):
            return True
        if not a or not b:
            return False
        if a == "*" and b == "*":
            return False
        if a == "*":
            return not (single and b == "/") and at(i, j + 1)
        if b == "*":
            return not (single and a == "/") and at(i + 1, j)
        return (a == b or "?" in (a, b)) and at(i + 1, j + 1)

    return at(0, 0)
