"""What Lambda's Python runtime does: imports the handler, then asks for events and hands them over.

Usage: python_runtime.py <module> <function>, in the folder of the handler.
"""

import http.client
import importlib
import json
import os
import sys
import traceback


class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = "bench"


def main():
    sys.path.insert(0, os.getcwd())
    handle = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    prefix = "/2018-06-01/runtime/invocation"
    while True:
        api.request("GET", f"{prefix}/next")
        answer = api.getresponse()
        event = json.loads(answer.read())
        context = Context(answer.headers)
        try:
            path, body = "response", json.dumps(handle(event, context), default=str)
        except Exception:
            path, body = "error", json.dumps({"errorMessage": traceback.format_exc()})
        api.request("POST", f"{prefix}/{context.aws_request_id}/{path}", body)
        api.getresponse().read()


main()
