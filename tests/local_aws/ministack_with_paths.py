"""Runs ministack, and lets it find a role that has a path.

It takes what follows `role/` in an ARN for the role's name: SimulatePrincipalPolicy finds no policies of a role
whose ARN has a path, and says that it may do nothing.
"""

import runpy

from ministack.core import iam_evaluator

of_role = iam_evaluator._gather_role_policies


def of_role_with_path(name, account):
    return of_role(name.rsplit("/", 1)[-1], account)


iam_evaluator._gather_role_policies = of_role_with_path
runpy.run_module("ministack", run_name="__main__")
