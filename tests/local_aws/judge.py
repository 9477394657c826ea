"""Answers whether policies allow a call, with the evaluator by which the emulator enforces them.

The emulator checks the calls that it serves itself, with the condition keys that it knows. Here whoever asks
says what the call is about, so that calls to the other emulator and every key are judged too. One line of
JSON in, one out; the end of the input ends it.
"""

import functools
import json
import re
import sys

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document


@functools.lru_cache(maxsize=1024)
def parsed(document):
    return parse_policy_document(document)


def with_variables(document, context):
    """The document with what the request says in place of `${key}`, which the evaluator takes as it stands."""
    for key, value in context.items():
        if isinstance(value, str):
            document = re.sub(rf"\$\{{{re.escape(key)}\}}", lambda _: value, document, flags=re.IGNORECASE)
    return document


def judge(asked):
    # The evaluator takes this key from the connection, which has no TLS here.
    tls = asked["context"].get("aws:SecureTransport")
    context = EvalContext(
        **({} if tls is None else {"secure_transport": tls == "true"}),
        principal_arn=asked["principal"],
        principal_type="AssumedRole",
        # Of a resource whose ARN names no account, this is the account that it is in.
        principal_account=asked["resource_account"],
        action=asked["action"],
        resource_arn=asked["resource"],
        region=asked["region"],
        service_context={key.lower(): value for key, value in asked["context"].items()},
    )
    return evaluate(context, [parsed(with_variables(document, asked["context"])) for document in asked["policies"]]).decision


def main():
    for line in sys.stdin:
        print(judge(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
