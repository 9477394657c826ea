"""ministack, with two things as AWS has them.

- The condition key aws:PrincipalArn of a session is the ARN of the role,
  https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn.
- The path of a role is no part of its name. SimulatePrincipalPolicy would find no policies of a role whose ARN has
  a path, and say that it may do nothing.
"""

from ministack.app import main
from ministack.core import iam_evaluator
from ministack.services import iam

value_of = iam_evaluator._resolve_condition_key
policies_of = iam_evaluator._gather_role_policies


def value_as_aws_has_it(key, context):
    value = value_of(key, context)
    if key.lower() != "aws:principalarn" or ":assumed-role/" not in str(value):
        return value
    account = value.split(":")[4]
    role = iam._roles.get_scoped(account, None, value.split("/")[1])
    return role["Arn"] if role else value


def policies_without_the_path(name, account):
    return policies_of(name.rsplit("/", 1)[-1], account)


iam_evaluator._resolve_condition_key = value_as_aws_has_it
iam_evaluator._gather_role_policies = policies_without_the_path
main()
