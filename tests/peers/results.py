"""What cargo-nextest's report says: each test by its name, passed, failed, or flaky."""

import dataclasses
import xml.etree.ElementTree


@dataclasses.dataclass
class Results:
    passed: list = dataclasses.field(default_factory=list)
    failed: list = dataclasses.field(default_factory=list)
    # These are among those that passed.
    flaky: list = dataclasses.field(default_factory=list)


def read(report):
    results = Results()
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        name = case.get("name")
        if case.find("failure") is not None or case.find("error") is not None:
            results.failed.append(name)
            continue
        results.passed.append(name)
        if case.find("flakyFailure") is not None or case.find("flakyError") is not None:
            results.flaky.append(name)
    return results
