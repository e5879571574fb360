"""Starts the peers, runs the steps, stops the peers, and says what came of it."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from . import results, routing, tools
from .netbox import HOUSE_RULES, NetBox
from .place import ROOT, Missing
from .postgres import Postgres
from .redis import Redis


class Tally:
    def __init__(self):
        self.passed = self.failed = 0
        self.skipped = []  # (name, why)
        self.flaky = []  # names of tests that passed only when they were run once more
        self.rows = []

    def row(self, name, seconds, words):
        self.rows.append((name, seconds, words))
        print(f"== {name}: {words} ({seconds:.0f} s)", flush=True)


class Peers:
    """PostgreSQL, Redis, NetBox and IRRd, and what the tests are told of them."""

    def __init__(self, directory):
        self.started = []
        try:
            self.postgres = self._keep(Postgres(directory))
            self.redis = self._keep(Redis(directory))
            with concurrent.futures.ThreadPoolExecutor() as beside:
                house = beside.submit(
                    lambda: self._keep(NetBox(directory, self.postgres, self.redis, "netbox_house", HOUSE_RULES, 1, 8)))
                self.netbox = self._keep(NetBox(directory, self.postgres, self.redis))
                self.irrd = self._keep(routing.Irrd(directory, self.postgres, self.redis))
                self.postgres.sql("CREATE DATABASE ledger")
                self.house = house.result()
        except BaseException:
            self.stop()
            raise

    def _keep(self, peer):
        self.started.append(peer)
        return peer

    def env(self):
        told = {f"LEASEHOLD_TEST_NETBOX_{name}": value for name, value in self.netbox.tokens.items()}
        told["LEASEHOLD_TEST_NETBOX_URL"] = self.netbox.url
        told["LEASEHOLD_TEST_HOUSE_URL"] = self.house.url
        told["LEASEHOLD_TEST_HOUSE_TOKEN"] = self.house.tokens["TOKEN"]
        told["LEASEHOLD_TEST_POSTGRES_URL"] = f"postgres://postgres@127.0.0.1:{self.postgres.port}/ledger"
        told["LEASEHOLD_TEST_IRRD"] = f"127.0.0.1:{self.irrd.port}"
        told.update(routing.programs())
        told["LEASEHOLD_TEST_PYTHON"] = str(self.netbox.clients / "bin/python")
        told["LEASEHOLD_TEST_GRPCURL"] = str(tools.grpcurl())
        told["LEASEHOLD_TEST_CONNECT"] = str(tools.connect())
        return told

    def stop(self):
        for peer in reversed(self.started):
            try:
                peer.stop()
            except Exception as error:  # One that does not stop must not keep the others running.
                print(f"  could not stop {type(peer).__name__}: {error}", file=sys.stderr)


class Runner:
    def __init__(self, directory, quick):
        self.directory = directory
        self.quick = quick
        self.tally = Tally()
        self.env = {**os.environ, "CARGO_TERM_COLOR": "never", "INSTA_UPDATE": "no", "RUST_BACKTRACE": "0"}
        self.skips = directory / "skips"
        self.env["LEASEHOLD_TEST_SKIPS"] = str(self.skips)
        self.peers = None

    def command(self, name, command, env=None):
        """A command that passes or fails as one check; its log's tail is shown if it fails."""
        code, _, seconds = self._logged(name, command, env)
        if code == 0:
            self.tally.passed += 1
            self.tally.row(name, seconds, "ok")
        else:
            self.tally.failed += 1
            self.tally.row(name, seconds, "FAILED")
        return code == 0

    def _logged(self, name, command, env=None):
        print(f"-- {name}: {' '.join(str(part) for part in command)}", flush=True)
        log = self.directory / f"{name.replace(' ', '-')}.log"
        began = time.monotonic()
        with open(log, "wb") as out:
            process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=env or self.env, stdout=out,
                                       stderr=subprocess.STDOUT, start_new_session=True)
            try:
                code = process.wait(3000)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        text = log.read_text(errors="replace")
        if code != 0:
            print("\n".join(text.splitlines()[-80:]))
        return code, text, time.monotonic() - began

    def skip(self, name, why):
        self.tally.skipped.append((name, why))
        self.tally.row(name, 0, f"SKIPPED: {why}")

    # The steps, in order.

    def step_fmt(self):
        self.command("fmt", ["cargo", "fmt", "--check"])

    def step_clippy(self):
        self.command("clippy", ["cargo", "clippy", "--locked", "--all-targets", "--", "-D", "warnings"])

    def step_deny(self):
        deny = tools.cargo_deny()
        self.command("deny", [deny, "--all-features", "check", "licenses", "bans", "sources"])
        code, text, seconds = self._logged("advisories", [deny, "check", "advisories"])
        if code == 0:
            self.tally.passed += 1
            self.tally.row("advisories", seconds, "ok")
        elif "failed to fetch" in text or "unable to fetch" in text or "failed to acquire" in text:
            self.skip("advisories", "the advisory database cannot be reached from here")
        else:
            self.tally.failed += 1
            self.tally.row("advisories", seconds, "FAILED")

    def step_buf(self):
        buf = tools.buf()
        self.command("buf lint", [buf, "lint", "proto"])
        base = self._base()
        if base is None:
            self.skip("buf breaking", "no commit with the frozen API before this one")
        else:
            against = f".git#ref={base},subdir=proto"
            self.command("buf breaking", [buf, "breaking", "proto", "--against", against])

    def _base(self):
        """The last commit that landed: where origin's main stands, unless that is this very commit.

        Only a commit with the frozen API can be compared with: before v1 was frozen it broke once. The snapshot of the API
        (tests/api.rs) came with the frozen API, so a commit that has that file has the API as well.
        """
        def git(*command):
            done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)
            return done.stdout.strip() if done.returncode == 0 else None
        head = git("rev-parse", "HEAD")
        for candidate in ("origin/main", "HEAD~1"):
            base = git("rev-parse", "--verify", "-q", candidate)
            if base and base != head and git("ls-tree", "--name-only", base, API_SNAPSHOT):
                return base
        return None

    def step_test(self):
        env = dict(self.env)
        if not self.quick:
            env["LEASEHOLD_TEST_REQUIRE_PEERS"] = "1"
        nextest = tools.cargo_nextest()
        # Building takes longer than running, so the times of both are shown.
        if not self.command("test build", [nextest, "nextest", "run", "--locked", "--no-run"]):
            return
        target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
        report = target / "nextest/default/junit.xml"
        report.unlink(missing_ok=True)
        code, text, seconds = self._logged("cargo test", [nextest, "nextest", "run", "--locked"], env)
        ran = results.read(report) if report.exists() else results.Results()
        skips = self.skips.read_text().splitlines() if self.skips.exists() else []
        # A test that skipped itself returned early and is among those that passed.
        passed, failed = len(ran.passed) - len(skips), len(ran.failed)
        self.tally.passed += passed
        self.tally.failed += failed if code == 0 or failed else 1
        self.tally.flaky += ran.flaky
        self.tally.skipped += [tuple(line.split(": ", 1)) for line in skips]
        words = f"{passed} passed, {failed} failed, {len(skips)} skipped, {len(ran.flaky)} flaky"
        self.tally.row("cargo test", seconds, words if code == 0 else f"FAILED: {words}")

    def step_release(self):
        self.command("release build", ["cargo", "build", "--locked", "--release"])

    def step_e2e(self):
        if self.quick:
            self.skip("e2e", "needs the real peers (--quick)")
            return
        binary = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/leasehold"
        env = {**self.env, "LEASEHOLD_TEST_BINARY": str(binary), "PYTHONDONTWRITEBYTECODE": "1"}
        for script in sorted((ROOT / "tests/e2e").glob("*.py")):
            name = f"e2e {script.stem}"
            code, text, seconds = self._logged(name, [self.env["LEASEHOLD_TEST_PYTHON"], script], env)
            passed = len(re.findall(r"^ok ", text, re.M))
            failed = len(re.findall(r"^not ok ", text, re.M))
            self.tally.passed += passed
            self.tally.failed += failed if failed else int(code != 0 or passed == 0)
            words = f"{passed} passed, {failed} failed"
            self.tally.row(name, seconds, words if code == 0 and passed else f"FAILED: {words}")

    def step_demo(self):
        began = time.monotonic()
        ok = self.command("demo", ["cargo", "run", "--locked", "--release", "--", "demo", "--exit"])
        if ok and time.monotonic() - began > 30:
            self.tally.failed += 1
            self.tally.row("demo", time.monotonic() - began, "FAILED: it took more than 30 s")


API_SNAPSHOT = "tests/snapshots/leasehold__api__api.snap"
STEPS = ["fmt", "clippy", "deny", "buf", "test", "release", "e2e", "demo"]
NEED_PEERS = {"test", "e2e"}


def main(words):
    parser = argparse.ArgumentParser(prog="tests/run", description=words,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=STEPS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--up", action="store_true")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(STEPS))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = pathlib.Path(tempfile.mkdtemp(prefix="leasehold-tests-"))
    # PostgreSQL runs as another user and must be able to reach its own directory.
    directory.chmod(0o755)
    if arguments.up:
        return up(directory)
    runner = Runner(directory, arguments.quick)
    started = time.monotonic()
    steps = arguments.only or STEPS
    kept = True
    try:
        if not arguments.quick and NEED_PEERS & set(steps):
            began = time.monotonic()
            print("-- starting PostgreSQL, Redis, NetBox and IRRd", flush=True)
            runner.peers = Peers(directory)
            runner.env.update(runner.peers.env())
            runner.tally.row("peers", time.monotonic() - began, "up")
        for step in steps:
            getattr(runner, f"step_{step}")()
        kept = runner.tally.failed > 0
    except Missing as missing:
        print(f"\ntests/run cannot go on: {missing}", file=sys.stderr)
        runner.tally.failed += 1
    finally:
        if runner.peers:
            runner.peers.stop()
        if kept:
            print(f"The logs are kept in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    tally = runner.tally
    print("\nstep                 seconds  result")
    for name, seconds, result in tally.rows:
        print(f"{name:20} {seconds:7.0f}  {result}")
    print(f"{'all of it':20} {time.monotonic() - started:7.0f}")
    for name, why in tally.skipped:
        print(f"skipped: {name}: {why}")
    for name in tally.flaky:
        print(f"flaky: {name}: failed, and passed when it was run once more")
    print(f"\n{tally.passed} passed, {tally.failed} failed, {len(tally.skipped)} skipped, {len(tally.flaky)} flaky")
    return 1 if tally.failed else 0


def up(directory):
    peers = Peers(directory)
    try:
        for name, value in peers.env().items():
            print(f"export {name}={value}")
        print("# up; Ctrl-C stops them", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        peers.stop()
        shutil.rmtree(directory, ignore_errors=True)
    return 0
