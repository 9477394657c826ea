"""Reads requests as AWS would, by botocore's models of its services.

moto, one of the emulators, brings the readers of all protocols along.
"""

import json
import re
from functools import cache
from urllib.parse import urlsplit

import regex
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import PROTOCOL_ROUTERS
from moto.core.utils import get_service_model

# What stands before the Region in the names of the endpoints, and what botocore calls the service.
SERVICES = {
    "autoscaling": "autoscaling",
    "cloudformation": "cloudformation",
    "cloudtrail": "cloudtrail",
    "dynamodb": "dynamodb",
    "ec2": "ec2",
    "events": "events",
    "guardduty": "guardduty",
    "iam": "iam",
    "lambda": "lambda",
    "logs": "logs",
    "monitoring": "cloudwatch",
    "s3": "s3",
    "s3-control": "s3control",
    "securityhub": "securityhub",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "sts": "sts",
}
BALANCERS = {"2012-06-01": "elb", "2015-12-01": "elbv2"}
HOST = re.compile(rf"^(?:(.+)\.)?({'|'.join(SERVICES)}|elasticloadbalancing)(?:\.[a-z0-9-]+)?\.amazonaws\.com$")
# Java's way to write the characters beyond the first 65,536 of Unicode.
SURROGATES = (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")


class Unknown(Exception):
    """A request that no model describes."""


def read(line):
    """The service, the operation's model and the parameters of a recorded request."""
    recorded = json.loads(line)
    uri = urlsplit(recorded["uri"])
    host = HOST.match(uri.hostname or "")
    if not host:
        raise Unknown(f"no service is at {uri.hostname}")
    before, endpoint = host.groups()
    body = recorded["body"]
    version = re.search(r"(?:^|&)Version=([0-9-]+)", body)
    service = BALANCERS[version[1]] if endpoint == "elasticloadbalancing" else SERVICES[endpoint]
    path = uri.path or "/"
    if service == "s3" and before:
        # The bucket as a part of the host's name.
        path, before = f"/{before}{path}", None
    netloc = f"{before}.{endpoint}.us-east-1.amazonaws.com" if before else uri.netloc
    url = f"https://{netloc}{path}" + (f"?{uri.query}" if uri.query else "")
    request = Request.from_primitives(recorded["method"], url, recorded["headers"], body.encode())
    request.environ["RAW_URI"] = path
    model = get_service_model(service)
    protocol = determine_request_protocol(model, request.content_type)
    if protocol == "json":
        operation, labels = of_target(model, request.headers.get("x-amz-target", "")), {}
    else:
        operation, labels = router(service, protocol).match(request)
    parser = PROTOCOL_PARSERS[protocol](operation)
    parsed = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.data or body.encode(),
            "url_path": path,
            "url_params": labels,
        }
    )
    return service, operation, parsed


def of_target(model, target):
    """The operation that the header names. The SDK for Rust leaves out the package that botocore's model has."""
    service, _, name = target.rpartition(".")
    prefix = model.metadata["targetPrefix"]
    if not service or prefix != service and not prefix.endswith(f".{service}") or name not in model.operation_names:
        raise Unknown(f"{model.service_name} has no {target}")
    return model.operation_model(name)


@cache
def router(service, protocol):
    return PROTOCOL_ROUTERS[protocol](get_service_model(service))


def problems(shape, value, where):
    """What of a value its model does not allow: members that are missing, lengths, ranges, patterns, enumerations."""
    if value is None or shape is None:
        return
    kind = shape.type_name
    if kind == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                yield f"{where}.{name} is missing"
        for name, member in shape.members.items():
            yield from problems(member, value.get(name), f"{where}.{name}")
    elif kind == "list":
        yield from within(shape, len(value), where, "members")
        for part in value:
            yield from problems(shape.member, part, f"{where}[]")
    elif kind == "map":
        yield from within(shape, len(value), where, "members")
        for key, part in value.items():
            yield from problems(shape.key, key, f"{where}{{}}")
            yield from problems(shape.value, part, f"{where}.{key}")
    elif kind == "string":
        yield from of_text(shape, value, where)
    elif kind in ("integer", "long", "float", "double"):
        yield from within(shape, value, where, "")


def within(shape, size, where, unit):
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least or most is not None and size > most:
        yield f"{where} has {size} {unit}, and not {least} to {most}".replace("  ", " ")


def of_text(shape, value, where):
    yield from within(shape, len(value), where, "characters")
    if shape.enum and value not in shape.enum:
        yield f"{where} is {value!r}, and not one of {', '.join(shape.enum)}"
    pattern = shape.metadata.get("pattern")
    if pattern and not regex.fullmatch(pattern.replace(*SURROGATES), value):
        yield f"{where} is {value!r}, which does not match {pattern}"
