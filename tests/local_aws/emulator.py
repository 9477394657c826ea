"""ministack, with the condition key aws:PrincipalArn as AWS has it: of a session it is the ARN of the role.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
"""

from ministack.app import main
from ministack.core import iam_evaluator
from ministack.services import iam

value_of = iam_evaluator._resolve_condition_key


def as_aws_has_it(key, context):
    value = value_of(key, context)
    if key.lower() != "aws:principalarn" or ":assumed-role/" not in str(value):
        return value
    account = value.split(":")[4]
    role = iam._roles.get_scoped(account, None, value.split("/")[1])
    return role["Arn"] if role else value


iam_evaluator._resolve_condition_key = as_aws_has_it
main()
