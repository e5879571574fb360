"""Each sink against a local server that checks what the real one would; and the calendar, read by an independent parser."""

import base64
import datetime
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

import icalendar
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from standardwebhooks import Webhook

from stage import BINARY, Stage, check, days, exit_code, free_port, until

BLOCK = "198.51.100.0/25"
OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
CALENDAR = "a-calendar-token-for-tests"


class Receiver:
    """Slack, a webhook, Alertmanager, Jira, GitHub and GitLab, as far as they check what they are sent."""

    def __init__(self):
        self.got = {name: [] for name in ["slack", "own", "alerts", "jira", "github", "gitlab"]}
        self.wrong = []
        self.broken = set()
        self.tickets = {"jira": {}, "github": {}, "gitlab": {}}
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                try:
                    status, answer = receiver.take(self.command, self.path, self.headers, body)
                except Exception as wrong:  # What a receiver would answer 400 to.
                    receiver.wrong.append(f"{self.command} {self.path}: {wrong!r}")
                    status, answer = 400, {"error": str(wrong)}
                text = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_PATCH = handle_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, method, path, headers, body):
        name = path.split("/")[1]
        if name in self.broken:
            return 400, "refused for now"
        url = urllib.parse.urlsplit(path)
        query = urllib.parse.parse_qs(url.query)
        payload = json.loads(body) if body else None
        return getattr(self, name)(method, url.path, query, headers, payload, body)

    def slack(self, method, path, _query, headers, payload, _body):
        assert (method, path) == ("POST", "/slack/services/T0/B0/secret"), path
        assert headers["content-type"].startswith("application/json")
        assert payload["text"], "no fallback text"
        assert 1 <= len(payload["blocks"]) <= 50, "invalid_blocks"
        for block in payload["blocks"]:
            if block["type"] == "header":
                assert block["text"]["type"] == "plain_text" and 1 <= len(block["text"]["text"]) <= 150
            elif block["type"] == "section":
                assert block["text"]["type"] == "mrkdwn" and 1 <= len(block["text"]["text"]) <= 3000
            else:
                assert block["type"] == "context" and 1 <= len(block["elements"]) <= 10
        self.got["slack"].append(payload)
        return 200, "ok"

    def own(self, method, path, _query, headers, payload, body):
        assert (method, path) == ("POST", "/own/hook"), path
        # Throws unless id, timestamp and signature fit; both keys sign while they are changed.
        for secret in [OLD, NEW]:
            Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
        assert headers["content-type"].startswith("application/cloudevents+json")
        for attribute in ["specversion", "id", "source", "type"]:
            assert isinstance(payload[attribute], str) and payload[attribute], attribute
        assert payload["specversion"] == "1.0" and payload["id"] == headers["webhook-id"]
        datetime.datetime.fromisoformat(payload["time"])
        self.got["own"].append(payload)
        return 200, {}

    def alerts(self, method, path, _query, headers, payload, _body):
        assert (method, path) == ("POST", "/alerts/api/v2/alerts"), path
        assert headers["authorization"] == "Bearer alert-token"
        assert isinstance(payload, list)
        for alert in payload:
            assert alert["labels"]["alertname"]
            for kind in ["labels", "annotations"]:
                for name, value in alert[kind].items():
                    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) and isinstance(value, str)
            starts, ends = (datetime.datetime.fromisoformat(alert[key]) for key in ["startsAt", "endsAt"])
            assert starts <= ends, "start time must not be after end time"
        self.got["alerts"] += payload
        return 200, {}

    def firing(self):
        last = {json.dumps(alert["labels"], sort_keys=True): alert for alert in self.got["alerts"]}
        now = datetime.datetime.now(datetime.timezone.utc)
        return [alert["labels"] for alert in last.values() if datetime.datetime.fromisoformat(alert["endsAt"]) > now]

    def open(self, kind, title, body, labels):
        number = len(self.tickets[kind]) + 1
        self.tickets[kind][number] = {"title": title, "body": body, "labels": labels, "open": True}
        self.got[kind].append(title)
        return number

    def found(self, kind, label):
        return [number for number, ticket in self.tickets[kind].items() if ticket["open"] and label in ticket["labels"]]

    def jira(self, method, path, query, headers, payload, _body):
        user, _, token = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode().partition(":")
        assert (user, token) == ("bot@example.net", "jira-token")
        if (method, path) == ("POST", "/jira/rest/api/2/issue"):
            fields = payload["fields"]
            assert fields["project"]["key"] == "NET" and fields["issuetype"]["name"] == "Task"
            assert 1 <= len(fields["summary"]) <= 255 and "\n" not in fields["summary"]
            assert all(" " not in label for label in fields["labels"])
            number = self.open("jira", fields["summary"], fields["description"], fields["labels"])
            return 201, {"id": str(10000 + number), "key": f"NET-{number}"}
        if (method, path) == ("GET", "/jira/rest/api/2/search"):
            label = re.fullmatch(r'labels = "([^"]+)" AND statusCategory != Done', query["jql"][0])[1]
            return 200, {"issues": [{"key": f"NET-{number}"} for number in self.found("jira", label)]}
        number = int(re.fullmatch(r"/jira/rest/api/2/issue/NET-(\d+)/transitions", path)[1])
        assert method == "POST" and payload == {"transition": {"id": "31"}}
        self.tickets["jira"][number]["open"] = False
        return 204, ""

    def github(self, method, path, query, headers, payload, _body):
        assert headers["authorization"] == "Bearer github-token" and headers["user-agent"]
        issues = "/github/repos/example/network/issues"
        if (method, path) == ("POST", issues):
            number = self.open("github", payload["title"], payload["body"], payload["labels"])
            return 201, {"id": 5000 + number, "number": number, "state": "open"}
        if (method, path) == ("GET", issues):
            assert query["state"] == ["open"]
            return 200, [{"number": number} for number in self.found("github", query["labels"][0])]
        number = int(path.removeprefix(issues + "/"))
        assert method == "PATCH" and payload["state"] == "closed" and payload["state_reason"] == "completed"
        self.tickets["github"][number]["open"] = False
        return 200, {"number": number, "state": "closed"}

    def gitlab(self, method, path, query, headers, payload, _body):
        assert headers["private-token"] == "gitlab-token"
        issues = "/gitlab/api/v4/projects/example%2Fnetwork/issues"
        if (method, path) == ("POST", issues):
            number = self.open("gitlab", payload["title"], payload["description"], payload["labels"].split(","))
            return 201, {"id": 900 + number, "iid": number, "state": "opened"}
        if (method, path) == ("GET", issues):
            assert query["state"] == ["opened"]
            return 200, [{"iid": number} for number in self.found("gitlab", query["labels"][0])]
        number = int(path.removeprefix(issues + "/"))
        assert method == "PUT" and payload == {"state_event": "close"}
        self.tickets["gitlab"][number]["open"] = False
        return 200, {"iid": number, "state": "closed"}


class Mailbox:
    """An SMTP server that takes mail only over TLS and from whoever has the password."""

    def __init__(self, directory):
        self.got = []
        key, certificate = directory / "key.pem", directory / "smtp.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"],
                       check=True, capture_output=True)
        self.certificate = certificate
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)

        def authenticate(_server, _session, _envelope, _mechanism, data):
            return AuthResult(success=(data.login, data.password) == (b"leasehold", b"mail-password"))

        self.port = free_port()
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, tls_context=context,
                                     require_starttls=True, authenticator=authenticate, auth_required=True)
        self.controller.start()

    async def handle_DATA(self, _server, session, envelope):
        self.got.append((session.ssl is not None, envelope.mail_from, envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


def settings(receiver, mailbox):
    return f"""
[calendar]
token = "{CALENDAR}"

[[notify.sinks]]
name = "slack"
kind = "slack"
url = "{receiver.url}/slack/services/T0/B0/secret"
allow_private = true

[[notify.sinks]]
name = "own"
kind = "webhook"
url = "{receiver.url}/own/hook"
secrets = ["{NEW}", "{OLD}"]
allow_private = true

[[notify.sinks]]
name = "mail"
kind = "email"
host = "localhost"
port = {mailbox.port}
user = "leasehold"
password = "mail-password"
from = "Leasehold <leasehold@example.net>"
to = ["noc@example.net", "Peering <peering@example.net>"]
allow_private = true

[[notify.sinks]]
name = "pager"
kind = "alertmanager"
url = "{receiver.url}/alerts"
token = "alert-token"
allow_private = true

[[notify.sinks]]
name = "jira"
kind = "jira"
url = "{receiver.url}/jira"
project = "NET"
done_transition = "31"
user = "bot@example.net"
token = "jira-token"
allow_private = true

[[notify.sinks]]
name = "github"
kind = "github"
url = "{receiver.url}/github"
repository = "example/network"
token = "github-token"
allow_private = true

[[notify.sinks]]
name = "gitlab"
kind = "gitlab"
url = "{receiver.url}/gitlab"
project = "example/network"
token = "gitlab-token"
allow_private = true

# Every sink receives events of this owner only, because other tests leave leases in this NetBox.
""" + "".join(f"""
[[notify.routes]]
sink = "{name}"
owners = ["SINK-LIR"]
""" for name in SINKS)


SINKS = ["slack", "own", "mail", "pager", "jira", "github", "gitlab"]


class Sinks(Stage):
    def run(self, receiver, mailbox, file):
        self.receiver, self.mailbox, self.file = receiver, mailbox, file
        self.leasehold("setup")
        self.refused_settings()
        self.serve()
        try:
            self.samples()
            self.a_lease_that_expires()
            self.a_renewal()
            self.a_refusing_sink()
            self.calendar()
        finally:
            self.stop()
        check("no receiver found a mistake in a request", receiver.wrong == [], receiver.wrong)

    def refused_settings(self):
        shown = self.leasehold("config", "check")
        leaks = [secret for secret in [NEW, OLD, "mail-password", "github-token", CALENDAR, "B0/secret"] if secret in shown]
        check("config check shows no secret", leaks == [] and '(set)' in shown, (leaks, shown))
        text = self.file.read_text()
        self.file.write_text(text.replace("allow_private = true", "", 1))
        done = subprocess.run([BINARY, "serve"], env=self.env, capture_output=True, text=True, timeout=30)
        check("a sink on loopback is refused unless allowed",
              done.returncode == 1 and "sink slack" in done.stderr and "allow_private" in done.stderr, done.stderr)
        self.file.write_text(text)

    def samples(self):
        listed = self.json("notify", "list")
        check("the sinks are listed", sorted(sink["name"] for sink in listed["sinks"]) == sorted(SINKS), listed)
        for sink in SINKS:
            self.leasehold("notify", "test", sink)
        self.leasehold("notify", "test", "nobody", code=1)
        got = {name: len(found) for name, found in self.receiver.got.items() if name != "alerts"}
        check("each sink received one sample", set(got.values()) == {1} and len(self.mailbox.got) == 1, (got, self.mailbox.got))
        secure, sender, recipients, text = self.mailbox.got[0]
        check("mail is sent over TLS to every recipient",
              (secure, sender, recipients) == (True, "leasehold@example.net", ["noc@example.net", "peering@example.net"]),
              self.mailbox.got)
        check("mail has the event in its text and a message id", "203.0.113.0/24 (ACME-LIR) expires in 14 days" in text and "Message-ID: <" in text, text)

    def counts(self):
        return {**{name: len(found) for name, found in self.receiver.got.items()}, "mail": len(self.mailbox.got)}

    def a_lease_that_expires(self):
        before = self.counts()
        self.leasehold("lease", "register", BLOCK, "--owner", "SINK-LIR", "--expiry", days(10), "--notice", days(5))
        everyone = lambda: all(count > before[name] for name, count in self.counts().items())
        until("every sink receives an event about a lease that expires soon", everyone)
        # One for the expiry and one for the notice date.
        until("the webhook receives an event about the notice date too", lambda: self.counts()["own"] == before["own"] + 2)
        types = [event["type"] for event in self.receiver.got["own"][-2:]]
        check("both events are CloudEvents with their types", sorted(types) == ["leasehold.lease_expiring.v1", "leasehold.notice_due.v1"], types)
        data = next(event["data"] for event in self.receiver.got["own"] if event["type"] == "leasehold.lease_expiring.v1"
                    and event["data"]["owner"] == "SINK-LIR")
        check("the event has the data of the lease", (data["prefix"], data["days_left"], data["expiry"]) == (BLOCK, 10, days(10)), data)
        until("alerts fire", lambda: {alert["alertname"] for alert in self.receiver.firing() if alert.get("owner") == "SINK-LIR"}
              == {"LeaseExpiry", "LeaseNotice"})
        for tracker in ["jira", "github", "gitlab"]:
            until(f"two tickets are open in {tracker}", lambda: len(self.mine(tracker)) == 2)

    def mine(self, tracker):
        return [ticket for ticket in self.receiver.tickets[tracker].values() if ticket["open"] and BLOCK in ticket["title"]]

    def a_renewal(self):
        self.leasehold("lease", "renew", BLOCK, "--expiry", days(400), "--notice", days(370))
        for tracker in ["jira", "github", "gitlab"]:
            until(f"a renewal closes the tickets in {tracker}", lambda: self.mine(tracker) == [])
        until("a renewal resolves the alerts", lambda: [alert for alert in self.receiver.firing()
                                                  if alert.get("owner") == "SINK-LIR"] == [])
        ids = [event["id"] for event in self.receiver.got["own"]]
        check("nothing was sent twice", len(ids) == len(set(ids)), ids)

    def a_refusing_sink(self):
        self.receiver.broken = {"own"}
        self.leasehold("lease", "renew", BLOCK, "--expiry", days(50), "--notice", days(45), "--allow-earlier")
        dead = until("a delivery that a sink refuses is dead", lambda: self.quiet(
            "notify", "deliveries", "--state", "dead").get("deliveries"))
        check("the dead delivery has the reason", dead and "refused for now" in dead[0]["lastFailure"]["message"] and dead[0]["sink"] == "own", dead)
        self.leasehold("notify", "deliveries")
        self.receiver.broken = set()
        self.receiver.wrong = []
        replayed = self.json("notify", "replay", "--sink", "own")
        check("every dead delivery is replayed", int(replayed["replayedCount"]) >= len(dead or []), replayed)
        ids = {delivery["id"] for delivery in dead or []}
        until("a dead delivery is sent when replayed",
              lambda: ids <= {event["id"] for event in self.receiver.got["own"]})
        check("no delivery is dead after the replay", not self.json("notify", "deliveries", "--state", "dead")["deliveries"])

    def calendar(self):
        def get(path, **headers):
            request = urllib.request.Request(f"http://{self.http}{path}", headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.headers, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.headers, error.read()

        bearer = {"authorization": f"Bearer {CALENDAR}"}
        check("the calendar is refused without a token", get("/calendar.ics")[0] == 401)
        check("the calendar is refused with a wrong token", get("/calendar.ics", authorization="Bearer x" * 9)[0] == 401)
        check("the calendar is refused with a wrong token in the path", get("/calendar/wrong/calendar.ics")[0] == 404)
        status, headers, text = get("/calendar.ics?owner=SINK-LIR", **bearer)
        check("the calendar is served", status == 200 and headers["content-type"].startswith("text/calendar"), headers)
        check("the calendar is served with the token in the path too", get(f"/calendar/{CALENDAR}/calendar.ics?owner=SINK-LIR")[2] == text)
        known = get("/calendar.ics?owner=SINK-LIR", **bearer, **{"if-none-match": headers["etag"]})
        check("an unchanged calendar is not sent again", known[0] == 304, known)
        check("lines end and are folded as RFC 5545 says",
              all(len(line) <= 75 for line in text.split(b"\r\n")) and b"\n" not in text.replace(b"\r\n", b""), text)
        events = self.events(text)
        check("the calendar has an entry for the last day and one for the notice date", sorted(events) == [days(45), days(50)], events)
        last = events[days(50)]
        check("an entry lasts all day, with an exclusive end", (last.start, last.end - last.start)
              == (datetime.date.fromisoformat(days(50)), datetime.timedelta(days=1)), last)
        alarms = sorted(-alarm["trigger"].dt.days for alarm in last.walk("VALARM"))
        check("an entry has an alarm on the day of each threshold", alarms == [1, 7, 14, 30, 60], alarms)
        self.leasehold("lease", "renew", BLOCK, "--expiry", days(80), "--notice", days(75))
        moved = self.events(get("/calendar.ics?owner=SINK-LIR", **bearer)[2])[days(80)]
        check("a renewal moves the entry", moved["uid"] == last["uid"] and moved["sequence"] > last["sequence"],
              (moved["uid"], last["uid"], moved["sequence"], last["sequence"]))
        everyone = self.events(get("/calendar.ics", **bearer)[2])
        check("the calendar has all owners without a filter", len(everyone) >= 2, everyone)
        check("the calendar is empty for an unknown owner", self.events(get("/calendar.ics?owner=NOBODY", **bearer)[2]) == {})

    def events(self, text):
        calendar = icalendar.Calendar.from_ical(text)
        check("an independent parser finds no error",
              calendar.errors == [] and all(event.errors == [] for event in calendar.walk()), text)
        check("every entry has what RFC 5545 requires",
              all(event.get("uid") and event.get("dtstamp") and event.get("dtstart") for event in calendar.events), text)
        return {event.start.isoformat(): event for event in calendar.events}


with tempfile.TemporaryDirectory() as directory:
    directory = pathlib.Path(directory)
    receiver, mailbox = Receiver(), Mailbox(directory)
    file = directory / "leasehold.toml"
    file.write_text(settings(receiver, mailbox))
    # The trust store of this server is the mail server's certificate alone.
    Sinks(directory, LEASEHOLD_CONFIG=str(file), SSL_CERT_FILE=str(mailbox.certificate)).run(receiver, mailbox, file)
    mailbox.controller.stop()
sys.exit(exit_code())
