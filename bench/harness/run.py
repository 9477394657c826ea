"""Measures what the functions take, beside Cloud Custodian and a handler of the textbook kind.

Each runs as a fresh process behind the runtime API that Lambda serves, against the emulators of the tests,
of which each call is delayed alike, one after the other on the same machine. Prints one table in Markdown.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import zipfile

import custodian
from lambda_api import Function
from proxy import Proxy
from world import REGION, Bucket, Instance, Key, Stack, client

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
HARNESS = CHECKOUT / "bench" / "harness"
SERVED_BY_MOTO = ("EC2", "AUTO_SCALING", "ELASTIC_LOAD_BALANCING", "ELASTIC_LOAD_BALANCING_V2")
STARTS = 15
MEBIBYTE, MEGABYTE = 1024 * 1024, 1_000_000


class Measured:
    """One process of a kind: from its start to what it did about two findings."""

    def __init__(self, what):
        self.what, self.size = what, None
        self.ready, self.idle = [], []
        self.cold = self.warm = self.peak = self.calls = self.trips = self.before = None
        self.note = ""


def emulators(folder):
    python = CHECKOUT / ".local" / "emulators" / "bin" / "python"
    serve = CHECKOUT / "tests" / "local_aws" / "serve.py"
    process = subprocess.Popen(
        [python, serve, "--log-folder", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"the emulators did not start: see {folder}")
    return process, json.loads(line)


def environment(aws, ec2, scratch):
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": scratch,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_ENDPOINT_URL": aws,
        **{f"AWS_ENDPOINT_URL_{service}": ec2 for service in SERVED_BY_MOTO},
        # S3 Control puts the account before the host's name, which does not resolve here: moto is asked for
        # it as a proxy is.
        "AWS_ENDPOINT_URL_S3_CONTROL": f"http://s3-control.{REGION}.amazonaws.com",
        "HTTP_PROXY": ec2,
        "http_proxy": ec2,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def measure(measured, command, env, folder, targets, proxy, log):
    """Starts it some times for its start; the last process answers two findings."""
    first, second = targets
    for _ in range(STARTS - 1):
        with Function(command, env, folder, log) as function:
            measured.ready.append(function.ready)
            measured.idle.append(function.memory())
    with Function(command, env, folder, log) as function:
        measured.ready.append(function.ready)
        measured.idle.append(function.memory())
        proxy.log.clear()
        _, measured.cold = function.answer(first.event())
        proxy.log.clear()
        answer, measured.warm = function.answer(second.event())
        requests = proxy.log.ordered()
        measured.peak = function.memory()
    measured.calls = len(requests)
    measured.trips = max((one.depth for one in requests), default=0)
    containing = [one.depth - 1 for one in requests if one.operation in second.containing]
    measured.before = min(containing, default=None)
    if not (first.is_contained() and second.is_contained()):
        measured.note = "not contained"
        sys.stderr.write(f"{measured.what}: not contained: {answer}\n")
    for one in requests:
        sys.stderr.write(f"{measured.what}\t{one.depth}\t{one.operation}\n")


def zipped(path):
    with tempfile.TemporaryDirectory() as folder:
        archive = pathlib.Path(folder) / "function.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as pack:
            pack.write(path, "bootstrap")
        return archive.stat().st_size


def custodian_size():
    """What it deploys; boto3 comes with Lambda's runtime."""
    from c7n.mu import custodian_archive

    archive = custodian_archive()
    archive.close()
    return archive.size


def row(measured):
    def milliseconds(seconds):
        return "–" if seconds is None else f"{seconds * 1000:.0f}"

    def shown(value):
        return "–" if value is None else str(value)

    size = "–" if measured.size is None else f"{measured.size / MEGABYTE:.2f}"
    ready = statistics.median(measured.ready) * 1000
    idle = statistics.median(measured.idle) / MEBIBYTE
    cells = [
        measured.what,
        f"{ready:.1f}",
        f"{idle:.1f}",
        milliseconds(measured.cold),
        milliseconds(measured.warm),
        f"{measured.peak / MEBIBYTE:.1f}",
        size,
        shown(measured.calls),
        shown(measured.trips),
        shown(measured.before),
        measured.note,
    ]
    return f"| {' | '.join(cells)} |"


HEAD = """\
| what, about which finding | start to ready, ms | memory ready, MiB | event to answer cold, ms | warm, ms | \
memory at most, MiB | zipped, MB | calls | round trips | before the containing write | |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|"""


def microseconds(program, env, scratch, events):
    """What deciding and planning take, by criterion's medians."""
    paths = []
    for index, event in enumerate(events):
        path = pathlib.Path(scratch) / f"event-{index}.json"
        path.write_text(json.dumps(event))
        paths.append(str(path))
    folder = pathlib.Path(scratch) / "criterion"
    with open(pathlib.Path(scratch) / "criterion.log", "wb") as log:
        subprocess.run([program, folder, *paths], env=env, stdout=log, stderr=log, check=True)
    medians = {}
    for estimates in folder.glob("*/new/estimates.json"):
        of = json.loads((estimates.parent / "benchmark.json").read_text())["full_id"]
        median = json.loads(estimates.read_text())["median"]["point_estimate"]
        medians[of] = median / 1000
    kinds = ("parse", "decide", "plan", "plan and ask")
    lines = [f"| microseconds | {' | '.join(kinds)} |", "|---|" + "---:|" * len(kinds)]
    for category in ("s3", "iam", "ec2"):
        cells = [f"{medians[f'{category} {kind}']:.1f}" for kind in kinds]
        lines.append(f"| {category} | {' | '.join(cells)} |")
    policies = medians["policies"] / 1000
    return "\n".join([*lines, "", f"Reading the policies, once at start: {policies:.1f} ms."])


def targets(kind, aws, ec2):
    first = kind(aws, ec2)
    return first, kind(aws, ec2, first) if kind is Instance else kind(aws, ec2)


def isolation_group(ec2, vpc):
    """A group without rules, as Custodian's policy names one that is there."""
    found = client("ec2", ec2)
    group = found.create_security_group(GroupName="bench-isolation", Description="-", VpcId=vpc)
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    found.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=everything)
    return group["GroupId"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=lambda path: pathlib.Path(path).resolve(), required=True)
    parser.add_argument("--delay", type=float, default=0.1, help="of each call, in seconds")
    arguments = parser.parse_args()
    scratch = tempfile.mkdtemp(prefix="bench-")
    process, addresses = emulators(scratch)
    try:
        run(arguments, addresses, scratch)
    finally:
        process.stdin.close()
        process.wait()


def run(arguments, addresses, scratch):
    aws, ec2 = addresses["aws"], addresses["ec2"]
    proxy = Proxy(arguments.delay)
    env = environment(proxy.to(aws), proxy.to(ec2), scratch)
    stack = Stack(aws)
    names = {Bucket: "a bucket made public", Key: "a stolen key", Instance: "an infected instance"}
    python = [sys.executable, str(HARNESS / "python_runtime.py")]
    print(f"Each call delayed by {arguments.delay * 1000:.0f} ms.\n\n{HEAD}", flush=True)
    events = []
    with open(pathlib.Path(scratch) / "functions.log", "wb") as log:
        for kind, name in names.items():
            binary = arguments.binaries / f"{kind.category}-responder"
            ours = Measured(f"this responder, {name}")
            ours.size = zipped(binary)
            settings = {**env, **stack.settings()}
            attacked = targets(kind, aws, ec2)
            measure(ours, [str(binary)], settings, scratch, attacked, proxy, log)
            print(row(ours), flush=True)
            events.append(kind(aws, ec2).event())

            if kind is not Bucket:
                attacked = targets(kind, aws, ec2)
                group = isolation_group(ec2, attacked[0].vpc) if kind is Instance else None
                theirs = Measured(f"Cloud Custodian, {name}")
                theirs.size = custodian_size()
                custodian.write(scratch, kind.category, group)
                command = [*python, "c7n.handler", "dispatch_event"]
                measure(theirs, command, env, scratch, attacked, proxy, log)
                print(row(theirs), flush=True)

            attacked = targets(kind, aws, ec2)
            textbook = Measured(f"boto3, {name}")
            textbook.size = (HARNESS / "textbook.py").stat().st_size
            command = [*python, "textbook", kind.category]
            measure(textbook, command, env, str(HARNESS), attacked, proxy, log)
            print(row(textbook), flush=True)
    triage = zipped(arguments.binaries / "triage-responder") / MEGABYTE
    print(f"\nThe triage function: {triage:.2f} MB zipped.")
    direct = {**environment(aws, ec2, scratch), **stack.settings()}
    print(f"\n{microseconds(arguments.binaries / 'bench', direct, scratch, events)}")


if __name__ == "__main__":
    main()
