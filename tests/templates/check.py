"""Checks the templates with checkov, and their policies against AWS's Service Authorization Reference.

What checkov finds must be accepted in `accepted.yaml`, with a reason; an entry there that it does not find
any more must go. `policies.py` says what is held of each policy.
"""

import sys
from pathlib import Path

import yaml
from checkov.cloudformation.runner import Runner
from checkov.runner_filter import RunnerFilter

import policies
import sources

ROOT = Path(__file__).resolve().parents[2]
ACCEPTED = Path(__file__).with_name("accepted.yaml")
TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "infra").rglob("*.yaml"))]


def unaccepted():
    """Findings that nobody accepted, and acceptances of what is not found."""
    accepted = yaml.safe_load(ACCEPTED.read_text())
    report = Runner().run(
        root_folder=None,
        files=[str(template) for template in TEMPLATES],
        runner_filter=RunnerFilter(framework=["cloudformation"]),
    )
    for file in report.parsing_errors:
        yield f"checkov cannot read {file}"
    if not report.passed_checks:
        yield "checkov checked nothing"
    stale = {(check, resource) for check, entry in accepted.items() for resource in entry["resources"]}
    for check, entry in accepted.items():
        if not entry.get("reason", "").strip():
            yield f"{check} is accepted without a reason in {ACCEPTED.name}"
    for finding in report.failed_checks:
        resource = finding.resource.rsplit(".", 1)[-1]
        if (finding.check_id, resource) in stale:
            stale.discard((finding.check_id, resource))
        elif resource not in accepted.get(finding.check_id, {}).get("resources", []):
            where = Path(finding.file_path).name
            yield f"{finding.check_id} of {resource} in {where} is not accepted: {finding.check_name}"
    for check, resource in sorted(stale):
        yield f"{check} is accepted for {resource}, and not found there any more"


def void():
    """Statements that AWS would take and that could never apply."""
    found, unreadable = sources.of_project(ROOT)
    yield from unreadable
    for template in TEMPLATES:
        if "Statement:" in template.read_text() and not any(p.where.startswith(template.name) for p in found):
            yield f"no policy was found in {template.name}"
    yield from policies.problems(found)


def main():
    found = [*unaccepted(), *void()]
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
