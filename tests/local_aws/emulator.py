"""ministack, with two condition keys as AWS has them.

aws:PrincipalArn is the ARN of the role where a session calls, and the partition keys that a call names are
dynamodb:LeadingKeys:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
"""

import json

from ministack.app import main
from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam

PARTITION_KEY = "pk"

value_of = iam_evaluator._resolve_condition_key
context_of = iam_actions.dynamodb_service_context


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


iam_evaluator._resolve_condition_key = with_role_of_session
iam_actions.dynamodb_service_context = with_leading_keys
main()
