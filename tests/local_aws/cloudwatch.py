"""Calls CloudWatch: the operation is the argument, its parameters are JSON on standard input, the answer
is JSON on standard output. The Rust client would add features to every other AWS crate, and with them
builds."""

import json
import sys

import boto3

operation = getattr(boto3.client("cloudwatch"), sys.argv[1])
json.dump(operation(**json.load(sys.stdin)), sys.stdout, default=str)
