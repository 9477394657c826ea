"""Runs every test: the compiled programs in parts, some side by side, the longest first.

A part is a process of its own. Its tests share what they start: local AWS, deployed stacks. Most of a part's
time passes in waiting, so that a few parts at a time keep two processors busy. Each part's output is shown
when it ends, and what failed is shown once more at the end.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".local/log"
AT_ONCE = 3
# Parts of the one integration test program, by the names of their tests; the longest first.
SLOW = ["e2e", "adversity", "faults", "privilege", "prove"]
FAILURES = re.compile(r"^failures:$.*?(?=^test result:)", re.MULTILINE | re.DOTALL)
# What the library's tests would send, held against AWS's models of its services when they are done.
REQUESTS = LOGS / f"requests-{os.getpid()}.jsonl"
RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)


class Program(NamedTuple):
    path: str
    folder: Path
    variables: dict = {}


class Part:
    def __init__(self, name, runs):
        self.name = name
        self.runs = runs
        self.output = ""
        self.problems = []
        self.seconds = 0.0

    def run(self, running):
        started = time.monotonic()
        for program, *arguments in self.runs:
            process = subprocess.Popen(
                [program.path, *arguments],
                # As `cargo test` runs it.
                cwd=program.folder,
                env={**os.environ, "CARGO_MANIFEST_DIR": str(program.folder), **program.variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            running.append(process)
            self.output += process.communicate()[0]
            running.remove(process)
            if process.returncode < 0:
                died = signal.Signals(-process.returncode).name
                self.problems.append(f"{self.name}: {program.path} died of {died}")
            elif process.returncode > 0:
                self.problems.append(f"{self.name}: {program.path} ended with {process.returncode}")
        self.seconds = time.monotonic() - started
        (LOGS / f"test-{self.name}.log").write_text(self.output)

    def counts(self):
        found = [tuple(map(int, counts)) for counts in RESULT.findall(self.output)]
        return tuple(map(sum, zip(*found))) if found else (0, 0, 0)


def programs():
    """Compiles all tests. Returns the test programs by their package's folder, their kind and their name."""
    command = ["cargo", "test", "--locked", "--no-run", "--message-format=json-render-diagnostics"]
    build = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if build.returncode:
        sys.exit(build.returncode)
    found = {}
    for line in build.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message.get("profile", {}).get("test"):
            folder, target = Path(message["manifest_path"]).parent, message["target"]
            key = (str(folder.relative_to(ROOT)), target["kind"][0], target["name"])
            found[key] = Program(message["executable"], folder)
    return found


def parts(found):
    """Each test belongs to exactly one part."""
    integration = found.pop(("tests", "test", "integration"))
    gdr = found.pop(("shared/operator", "test", "gdr"))
    # The crates below gdr have unit tests only; the one that orders the calls has the most of them.
    libraries = sorted(key for key in found if key[1] == "lib" and key[0].startswith("shared/"))
    libraries = [found.pop(key) for key in libraries]
    # A name may also be that of a module within a part before it.
    whole = [
        Part(name, [[integration, f"{name}::", *[word for other in SLOW[:place] for word in ("--skip", f"{other}::")]]])
        for place, name in enumerate(SLOW)
    ]
    recording = {"RECORD_REQUESTS": str(REQUESTS)}
    reader = Program(str(ROOT / ".local/emulators/bin/python"), ROOT)
    checks = [[reader, "-m", "unittest", "discover", "-s", "tests/requests"], [reader, "tests/requests/check.py", REQUESTS]]
    # A proof also asks as an attacker or a bystander would, who name no owner of a bucket.
    units = [[library if library.folder.name == "proof" else library._replace(variables=recording)] for library in libraries]
    whole.append(Part("library", [*units, *checks]))
    whole.append(Part("gdr", [[gdr]]))
    skipped = [word for name in SLOW for word in ("--skip", f"{name}::")]
    whole.append(Part("local", [[integration, *skipped]]))
    whole.append(Part("others", [[program] for program in found.values()]))
    return whole


def run(whole):
    waiting, running, lock = list(whole), [], threading.Lock()

    def work():
        while True:
            with lock:
                if not waiting:
                    return
                part = waiting.pop(0)
            part.run(running)
            with lock:
                print(f"\n===== {part.name} ({part.seconds:.0f} s)\n{part.output}", flush=True)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(AT_ONCE)]

    def stop(number, _frame):
        # The emulators end with the process that started them.
        waiting.clear()
        for process in list(running):
            os.killpg(process.pid, signal.SIGKILL)
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def report(whole):
    """Sums up, and returns the exit status."""
    for part in whole:
        for block in FAILURES.findall(part.output):
            print(f"\n===== what failed in {part.name}, once more\n{block}")
    print()
    total = (0, 0, 0)
    for part in whole:
        counts = part.counts()
        total = tuple(map(sum, zip(total, counts)))
        print(f"{part.name:10} {counts[0]:5} passed {counts[1]:3} failed {part.seconds:6.0f} s")
    problems = [problem for part in whole for problem in part.problems]
    problems += [f"{part.name}: no test ran" for part in whole if not sum(part.counts()[:2])]
    for problem in problems:
        print(problem)
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped", flush=True)
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="run these parts only")
    chosen = parser.parse_args().parts
    LOGS.mkdir(parents=True, exist_ok=True)
    whole = parts(programs())
    known = [part.name for part in whole]
    unknown = set(chosen) - set(known)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    if chosen:
        whole = [part for part in whole if part.name in chosen]
    REQUESTS.unlink(missing_ok=True)
    run(whole)
    status = report(whole)
    if status == 0:
        REQUESTS.unlink(missing_ok=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
