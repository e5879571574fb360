"""Leases that expire, and the holders of an address over time, on a real NetBox that was in use before Leasehold."""

import datetime
import json
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import time

from stage import BINARY, HUNG, Stage, check, days, exit_code, until

BLOCK = "198.51.100.0/24"
HOST = "198.51.100.7"


def now():
    """An instant between two changes. The pauses are longer than a second, the resolution of its text."""
    time.sleep(1.1)
    at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    time.sleep(1.1)
    return at


class Watcher:
    """`leasehold watch`, its lines in a queue."""

    def __init__(self, env, *arguments):
        self.process = subprocess.Popen([BINARY, "watch", *arguments], env=env, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put((time.monotonic(), json.loads(line)))

    def next(self, wanted):
        """The first message that is wanted, and when it came."""
        end = time.monotonic() + HUNG
        while (left := end - time.monotonic()) > 0:
            try:
                at, message = self.lines.get(timeout=left)
            except queue.Empty:
                return None
            if wanted(message):
                return at, message
        return None

    def kill(self):
        self.process.kill()
        self.process.wait()


def about_block(kind):
    def wanted(message):
        event = message.get("event", {})
        lease = event.get("term", {}).get("lease") or event.get("prefix", {}).get("after", {}).get("lease") or {}
        return event.get("type") == f"EVENT_TYPE_{kind}" and lease.get("prefix") == BLOCK
    return wanted


class Expiry(Stage):
    def run(self, directory):
        self.leasehold("setup")
        moments = self.before_leasehold()
        self.serve()
        try:
            self.lookups_of_the_past(moments)
            self.watches(directory / "resume-token")
            self.lists_of_leases_and_events()
        finally:
            self.stop()

    def before_leasehold(self):
        """What pynetbox did before anybody ran Leasehold here."""
        moments = {"before": now()}
        self.prefix = self.netbox.ipam.prefixes.create(
            prefix=BLOCK, custom_fields={"lease_owner": "OLD-LIR", "lease_expiry": days(200)})
        address = self.netbox.ipam.ip_addresses.create(address=f"{HOST}/24", dns_name="a.example")
        moments["first"] = now()
        address.dns_name = "b.example"
        address.save()
        moments["renamed"] = now()
        address.delete()
        self.prefix.custom_fields = {"lease_owner": "NEW-LIR"}
        self.prefix.save()
        moments["deleted"] = now()
        return moments

    def lookups_of_the_past(self, moments):
        def at(moment, code=0):
            found = (self.json("lookup", HOST, "--at", moments[moment], code=code).get("results") or [{}])[0]
            names = [record.get("dnsName") for record in found.get("records", [])]
            return names, found.get("lease", {}).get("owner")

        check("a lookup as of a time before the prefix was recorded finds nothing", at("before", code=1) == ([], None))
        check("a lookup finds the first name as of its time", at("first") == (["a.example"], "OLD-LIR"), at("first"))
        check("a lookup finds the second name as of its time", at("renamed") == (["b.example"], "OLD-LIR"), at("renamed"))
        check("a lookup finds no record as of the deletion, and the new owner", at("deleted") == ([], "NEW-LIR"), at("deleted"))
        self.leasehold("lookup", HOST, "--at", "2001-01-01", code=1)
        self.leasehold("lookup", HOST, "--at", days(2), code=1)

        made = self.netbox.ipam.ip_addresses.create(address=f"{HOST}/24", dns_name="c.example")
        until("the address is recorded again", lambda: self.records(HOST))
        moments["again"] = now()
        made.delete()
        until("and the address is deleted again", lambda: self.records(HOST) == [])
        check("a lookup finds the record as of a time when Leasehold ran", at("again") == (["c.example"], "NEW-LIR"), at("again"))
        check("the time before Leasehold is still known", at("renamed") == (["b.example"], "OLD-LIR"), at("renamed"))

        history = self.json("history", HOST)
        kinds = [event["type"].removeprefix("EVENT_TYPE_") for event in history["events"]]
        check("the history has every change, the newest first",
              kinds[:7] == ["ADDRESS_REMOVED", "ADDRESS_RECORDED", "LEASE_CHANGED", "ADDRESS_REMOVED", "ADDRESS_CHANGED",
                        "ADDRESS_RECORDED", "LEASE_REGISTERED"], kinds)
        check("the history says since when it is complete", "knownSinceTime" in history, history)
        self.leasehold("history", HOST)

    def watches(self, resume_file):
        watcher = Watcher(self.env, "expiry", "--horizon", "60", "--resume-file", str(resume_file))
        synced = watcher.next(lambda message: "synced" in message)
        check("the watcher is told when the snapshot is complete", synced is not None)
        self.prefix.custom_fields = {"lease_expiry": days(10)}
        self.prefix.save()
        changed = time.monotonic()
        seen = watcher.next(about_block("LEASE_CHANGED"))
        took = max(seen[0] - changed, 0) if seen else None
        check("an expiry changed with pynetbox reaches `leasehold watch expiry` within 3 s", took is not None and took < 3, took)
        after = seen[1]["event"]["prefix"]["after"]["lease"]["expiryDate"]
        check("the change has the new date", "{year}-{month:02}-{day:02}".format(**after) == days(10), after)
        term = watcher.next(about_block("LEASE_EXPIRING"))
        check("the watcher is told that the lease expires soon", term and term[1]["event"]["term"]["thresholdDays"] == 14, term)

        # A message is printed before its token is stored, so a watcher that is killed in between would get it once more.
        until("the watcher stores the token of the last message",
              lambda: resume_file.exists() and resume_file.read_text().strip() == term[1]["resumeToken"])
        watcher.kill()
        self.leasehold("lease", "renew", BLOCK, "--expiry", days(400))
        watcher = Watcher(self.env, "expiry", "--horizon", "60", "--resume-file", str(resume_file))
        first = watcher.next(lambda _: True)
        check("a watcher that was killed resumes where it was",
              first and first[1].get("event", {}).get("type") == "EVENT_TYPE_LEASE_RENEWED", first)
        # The server is restarted while the watcher runs.
        self.stop()
        self.serve()
        self.leasehold("lease", "renew", BLOCK, "--expiry", days(20), "--allow-earlier")
        seen = watcher.next(about_block("LEASE_CHANGED"))
        check("a watcher goes on after a restart of the server", seen is not None)
        watcher.kill()
        done = subprocess.run([BINARY, "watch", "events", "--count", "1", "--no-snapshot", "--resume-file", str(resume_file)],
                              env=self.env, capture_output=True, text=True, timeout=HUNG)
        check("watch events resumes from the same file", '"event"' in done.stdout, (done.stdout, done.stderr))
        resume_file.write_text("nonsense")
        self.leasehold("watch", "events", "--resume-file", str(resume_file), code=1)

    def lists_of_leases_and_events(self):
        found = self.json("expiring", "--within", "30d")
        rows = {lease["prefix"]: lease["daysLeft"] for lease in found.get("leases", [])}
        check("expiring lists the lease", rows.get(BLOCK) == 20, found)
        check("expiring sorts by days left", list(rows.values()) == sorted(rows.values()), rows)
        self.leasehold("expiring", "--within", "60d", "--fail-within", "20d", code=3)
        table = self.leasehold("expiring", "--within", "60d", "--owner", "NEW-LIR", "--fail-within", "19d")
        check("expiring prints a table", any(line.startswith(BLOCK) and "   20   " in line for line in table.splitlines()), table)
        check("expiring leaves out leases that end later", BLOCK not in json.dumps(self.json("expiring", "--within", "19d")))
        listed = self.json("events", "list", "--type", "lease_renewed", "--within", BLOCK)
        check("events are listed", [event["type"] for event in listed["events"]] == ["EVENT_TYPE_LEASE_RENEWED"], listed)
        self.leasehold("events", "list", "--limit", "5")
        self.leasehold("events", "list", "--type", "nonsense", code=2)


with tempfile.TemporaryDirectory() as directory:
    Expiry(directory).run(pathlib.Path(directory))
sys.exit(exit_code())
