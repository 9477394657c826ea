"""ministack, with six things as AWS has them.

- The condition key aws:PrincipalArn of a session is the ARN of the role,
  https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn.
- The partition keys that a call names are dynamodb:LeadingKeys,
  https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html.
- The path of a role is no part of its name. SimulatePrincipalPolicy would find no policies of a role whose ARN has
  a path, and say that it may do nothing.
- The tags of an object, and those that a call gives it, are condition keys of the calls about its tags,
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/tagging-and-policies.html.
- Reading a function's concurrency or its URLs is an action of its own,
  https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html.
- CloudFormation makes the connections and API destinations of EventBridge, which ministack serves otherwise.
"""

import contextvars
import json

from ministack.app import main
from ministack.core import iam_actions, iam_evaluator
from ministack.services import eventbridge, iam, s3
from ministack.services.cloudformation import provisioners

PARTITION_KEY = "pk"
# By the method and the last part of the path.
ACTIONS_OF_FUNCTIONS = {
    ("GET", "concurrency"): "GetFunctionConcurrency",
    ("DELETE", "concurrency"): "DeleteFunctionConcurrency",
    ("GET", "provisioned-concurrency"): "ListProvisionedConcurrencyConfigs",
    ("GET", "urls"): "ListFunctionUrlConfigs",
}

value_of = iam_evaluator._resolve_condition_key
context_of = iam_actions.dynamodb_service_context
policies_of = iam_evaluator._gather_role_policies
resource_of = iam_actions.extract_resource_arn
object_context_of = iam_actions.s3_service_context
action_of_lambda = iam_actions._lambda_action

# The resource of a call is asked for with its body, and its condition keys are asked for without.
body_of_call = contextvars.ContextVar("body", default=b"")


def with_role_of_session(key, context):
    value = value_of(key, context)
    if key.lower() != "aws:principalarn" or ":assumed-role/" not in str(value):
        return value
    account = value.split(":")[4]
    role = iam._roles.get_scoped(account, None, value.split("/")[1])
    return role["Arn"] if role else value


def with_leading_keys(body):
    context = context_of(body)
    try:
        call = json.loads(body or b"{}")
        parts = [call, *(part.get("Update", {}) for part in call.get("TransactItems", []))]
        keys = [part["Key"][PARTITION_KEY]["S"] for part in parts if "Key" in part]
    except (ValueError, KeyError, TypeError, AttributeError):
        # What the service refuses has no keys.
        return context
    return {**context, "dynamodb:LeadingKeys": keys} if keys else context


def keeping_the_body(service, method, path, headers, body, *rest):
    body_of_call.set(body)
    return resource_of(service, method, path, headers, body, *rest)


def with_object_tags(action, query, path="", headers=None):
    context = object_context_of(action, query, path, headers)
    bucket, _, key = path.lstrip("/").partition("/")
    if not key or not action.endswith("Tagging"):
        return context
    standing = s3.object_tags_for_condition(bucket, key, query or {})
    context = {**context, **{f"s3:ExistingObjectTag/{name}": value for name, value in standing.items()}}
    if action.startswith("s3:Put"):
        try:
            given = s3._parse_tags_xml(body_of_call.get())
        except Exception:
            # What the service refuses gives no tags.
            return context
        context |= {f"s3:RequestObjectTag/{name}": value for name, value in given.items()}
    return context


def with_actions_of_functions(method, path):
    part = path.rstrip("/").rsplit("/", 1)[-1]
    return ACTIONS_OF_FUNCTIONS.get((method, part)) or action_of_lambda(method, path)


def without_the_path(name, account):
    return policies_of(name.rsplit("/", 1)[-1], account)


def of_eventbridge(create, delete):
    """How CloudFormation makes and removes what EventBridge has calls for."""

    def made(logical, properties, stack):
        name = properties.get("Name") or provisioners._physical_name(stack, logical, max_len=64)
        status, _, body = create({**properties, "Name": name})
        if status >= 400:
            raise ValueError(f"{logical}: {body!r}")
        arns = {key: value for key, value in json.loads(body).items() if key.endswith("Arn")}
        return name, {"Arn": next(iter(arns.values()))}

    return {"create": made, "delete": lambda name, _: delete({"Name": name})}


iam_evaluator._resolve_condition_key = with_role_of_session
iam_actions.dynamodb_service_context = with_leading_keys
iam_evaluator._gather_role_policies = without_the_path
iam_actions.extract_resource_arn = keeping_the_body
iam_actions.s3_service_context = with_object_tags
iam_actions._lambda_action = with_actions_of_functions
provisioners._RESOURCE_HANDLERS.update({
    "AWS::Events::Connection": of_eventbridge(eventbridge._create_connection, eventbridge._delete_connection),
    "AWS::Events::ApiDestination": of_eventbridge(
        eventbridge._create_api_destination, eventbridge._delete_api_destination
    ),
})
main()
