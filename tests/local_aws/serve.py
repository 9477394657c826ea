"""Runs the two emulators that together stand in for AWS, for as long as standard input stays open.

ministack serves everything but EC2, Auto Scaling and load balancing, which moto knows in more depth.
One line of JSON on standard output says where they listen. A closed standard input, SIGINT or SIGTERM
ends them. The process that started this one holds the other end of that pipe, so they end with it,
however it ends, and no one has to remember to stop them.
"""

import argparse
import fcntl
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT_ID = "111122223333"
REGION = "us-east-1"
START_TIMEOUT_SECONDS = 60
PORTS = range(20000, 30000)
LOGS_KEPT_SECONDS = 24 * 60 * 60
SERVED_BY_MOTO = ("EC2", "AUTO_SCALING", "ELASTIC_LOAD_BALANCING", "ELASTIC_LOAD_BALANCING_V2")


class Stopped(Exception):
    pass


def stop(_signal, _frame):
    raise Stopped


def reserve_port(held):
    """A port that no other run of this script takes, below those that the system gives to clients.

    The lock is held until this process ends; by it no other run takes the port before the emulator listens.
    """
    folder = Path(tempfile.gettempdir()) / f"local-aws-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for port in random.sample(PORTS, len(PORTS)):
        lock = open(folder / str(port), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        held.append(lock)
        return port
    raise SystemExit("no port is free")


def environment(scratch, port, aws, ec2, quick):
    """A deployed function inherits this, so it holds nothing of the person who runs the tests."""
    recorded = {
        "CLOUDTRAIL_RECORDING": "1",
        "MOTO_ENABLE_RECORDING": "true",
        "MOTO_RECORDER_FILEPATH": f"{scratch}/moto-calls.jsonl",
    }
    # moto looks through the snapshots of all its images each time.
    few_snapshots = {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": scratch,
        "TMPDIR": scratch,
        "S3_DATA_DIR": f"{scratch}/s3",
        "STATE_DIR": f"{scratch}/state",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AUTH": "true",
        # Else it listens for MQTT on every address.
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "MINISTACK_REGION": REGION,
        "MOTO_ACCOUNT_ID": ACCOUNT_ID,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": aws,
        **{f"AWS_ENDPOINT_URL_{service}": ec2 for service in SERVED_BY_MOTO},
        **(few_snapshots if quick else recorded),
    }


def start(name, arguments, env, log_folder):
    # A log of its own for each run: several run at once, and the one that failed is the one that matters.
    with open(log_folder / f"{name}-{os.getpid()}.log", "wb") as log:
        # Its own process group: a Ctrl-C reaches this process only, and ending the group later
        # ends the functions' processes as well.
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=env,
            cwd=env["HOME"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process.name = name
    return process


def wait_until_answering(process, url):
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{process.name} ended with {process.returncode}; see its log")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"{url} did not answer within {START_TIMEOUT_SECONDS} s")


def wait_for_end_of_input(processes):
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], 1)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            return
        for process in processes:
            if process.poll() is not None:
                raise SystemExit(f"{process.name} ended with {process.returncode}; see its log")


def remove_old_logs(log_folder):
    for log in log_folder.glob("*.log"):
        if log.stat().st_mtime < time.time() - LOGS_KEPT_SECONDS:
            log.unlink(missing_ok=True)


def serve(scratch, log_folder, quick, processes):
    held = []
    aws_port, ec2_port = reserve_port(held), reserve_port(held)
    aws, ec2 = f"http://127.0.0.1:{aws_port}", f"http://127.0.0.1:{ec2_port}"
    env = environment(scratch, aws_port, aws, ec2, quick)
    processes.append(start("ministack", [str(Path(__file__).with_name("emulator.py"))], env, log_folder))
    processes.append(start("moto", ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(ec2_port)], env, log_folder))
    wait_until_answering(processes[0], f"{aws}/_ministack/health")
    wait_until_answering(processes[1], f"{ec2}/moto-api/data.json")
    print(json.dumps({"aws": aws, "ec2": ec2, "account_id": ACCOUNT_ID, "region": REGION}), flush=True)
    wait_for_end_of_input(processes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log-folder", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="record no calls")
    arguments = parser.parse_args()
    log_folder = arguments.log_folder
    log_folder.mkdir(parents=True, exist_ok=True)
    remove_old_logs(log_folder)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)

    processes = []
    scratch = tempfile.mkdtemp(prefix="local-aws-")
    try:
        serve(scratch, log_folder, arguments.quick, processes)
    except Stopped:
        pass
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        # They keep nothing that outlives the run, so there is nothing to be polite about.
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
