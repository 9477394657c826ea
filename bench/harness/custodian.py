"""Cloud Custodian's own handler, with the policy that its documentation has for the finding.

It has none for buckets: the mode `guard-duty` is for accounts, instances and users,
<https://cloudcustodian.io/docs/aws/lambda.html>.
"""

import json
import os

# The handler is told its policy by a file in its folder.
from c7n.handler import dispatch_event  # noqa: F401

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def write(folder, category, group=None):
    actions = {
        # `remove-keys` would be what fits a stolen key. In this mode 0.9.53 ends it with a TypeError: the
        # mode hands it one key where it goes through a list of them.
        "iam": [{"type": "set-policy", "state": "attached", "arn": DENY_ALL}],
        "ec2": [
            {"type": "modify-security-groups", "remove": "all", "isolation-group": group},
        ],
    }
    policy = {
        "name": f"bench-{category}",
        "resource": {"iam": "iam-user", "ec2": "ec2"}[category],
        "mode": {"type": "guard-duty"},
        "actions": actions[category],
    }
    options = {"account_id": "111122223333", "region": "us-east-1"}
    with open(os.path.join(folder, "config.json"), "w") as config:
        json.dump({"policies": [policy], "execution-options": options}, config)
