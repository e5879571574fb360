// The README's story with Connect's client. Prints `ok` and `not ok` lines for tests/run, and `refused` lines for connect.py.
//
//     node story.mjs BASE_URL '[["Service/Method", request], ...]' YYYY-MM-DD

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";

import { AllocationService } from "./gen/leasehold/v1/allocation_service_pb.js";
import { EventService } from "./gen/leasehold/v1/event_service_pb.js";
import { EventType } from "./gen/leasehold/v1/event_pb.js";
import { LeaseService } from "./gen/leasehold/v1/lease_service_pb.js";
import { PrefixService } from "./gen/leasehold/v1/prefix_service_pb.js";
import { fromJson } from "@bufbuild/protobuf";

const [baseUrl, refusals, expiry] = process.argv.slice(2);
const BLOCK = "203.0.113.0/24";
const services = { AllocationService, EventService, LeaseService, PrefixService };
let failures = 0;

function check(name, held, seen) {
  if (!held) failures += 1;
  const text = JSON.stringify(seen, (_, value) => (typeof value === "bigint" ? String(value) : value));
  console.log(held ? `ok ${name}` : `not ok ${name}: ${text}`);
}

const source = (value) => ({ case: "prefix", value });
const name = Object.entries(Code).filter(([key]) => Number.isNaN(Number(key)));

// Connect's names of the codes, by their numbers: InvalidArgument is invalid_argument.
const codes = Object.fromEntries(name.map(([key, value]) => [value, key.replace(/(?<!^)(?=[A-Z])/g, "_").toLowerCase()]));

async function story(title, transport) {
  const prefixes = createClient(PrefixService, transport);
  const leases = createClient(LeaseService, transport);
  const allocations = createClient(AllocationService, transport);
  const events = createClient(EventService, transport);

  const found = await prefixes.lookupAddress({ address: "203.0.113.5" });
  check(`${title}: a lookup gives the lease`, found.lease?.owner === "ACME-LIR", found);

  const requestId = `connect-${title.replaceAll(" ", "-")}`;
  const order = { source: source(BLOCK), count: 2, dnsName: "web.example", requestId };
  const first = await allocations.allocateAddresses(order);
  const hosts = (answer) => answer.addresses.map((row) => row.address).join();
  check(`${title}: two addresses are allocated`, first.addresses.length === 2 && !first.repeated, first);
  const again = await allocations.allocateAddresses(order);
  check(`${title}: the same request again gives the same addresses`, again.repeated && hosts(again) === hosts(first), again);

  const listed = await leases.listLeases({});
  check(`${title}: the leases are listed`, listed.leases.some((lease) => lease.prefix === BLOCK), listed);
  const [year, month, day] = expiry.split("-").map(Number);
  const key = source("192.0.2.0/24");
  const before = await leases.getLease({ key });
  const would = await leases.renewLease({ key, expiryDate: { year, month, day }, validateOnly: true });
  check(`${title}: a renewal is tried`, would.lease?.expiryDate?.year === year, would);
  const after = await leases.getLease({ key });
  check(`${title}: and nothing is written`, after.lease?.etag === before.lease?.etag, after);

  const stop = new AbortController();
  const seen = [];
  try {
    for await (const message of events.watchEvents({ within: BLOCK, skipSnapshot: true }, { signal: stop.signal })) {
      seen.push(message.item.case);
      if (message.item.case === "synced") {
        const released = await allocations.releaseAddresses({ allocationRequestId: requestId });
        check(`${title}: the addresses are released`, released.addresses.length === 2, released);
      } else if (message.item.case === "event") {
        const type = EventType[message.item.value.type];
        check(`${title}: a release is in the stream`, type === "ADDRESS_RELEASED", type);
        if (seen.filter((item) => item === "event").length === 2) stop.abort();
      }
    }
    check(`${title}: the stream goes on until it is ended`, false, seen);
  } catch (error) {
    check(`${title}: the client ends the stream`, error instanceof ConnectError && error.code === Code.Canceled, String(error));
  }
}

async function deadline(transport) {
  const events = createClient(EventService, transport);
  try {
    for await (const _ of events.watchEvents({ skipSnapshot: true }, { timeoutMs: 300 }));
    check("a stream ends at its deadline", false);
  } catch (error) {
    check("a stream ends at its deadline", ConnectError.from(error).code === Code.DeadlineExceeded, String(error));
  }
}

async function lookups(transport) {
  const prefixes = createClient(PrefixService, transport);
  async function* requests() {
    for (const address of ["203.0.113.5", "banana", "192.0.2.7"]) yield { address };
  }
  const outcomes = [];
  for await (const answer of prefixes.streamLookupAddresses(requests())) outcomes.push(answer.outcome.case);
  check("a stream of lookups answers each request", outcomes.join() === "result,error,result", outcomes);
}

async function refused(transport, [path, request]) {
  const [service, method] = path.split("/");
  const descriptor = services[service].methods.find((candidate) => candidate.name === method);
  const message = fromJson(descriptor.input, request);
  const client = createClient(services[service], transport);
  try {
    const answer = client[descriptor.localName](message);
    if (descriptor.methodKind === "server_streaming") for await (const _ of answer);
    else await answer;
    check(`${path} is refused`, false, request);
  } catch (error) {
    const { code, rawMessage, details } = ConnectError.from(error);
    const info = details.find((detail) => detail.type === "google.rpc.ErrorInfo");
    console.log(`refused ${JSON.stringify([codes[code], info?.debug?.reason, rawMessage])}`);
  }
}

const json = createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false });
const binary = createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true });
await story("JSON by HTTP 1.1", json);
await story("protobuf by HTTP 2", binary);
await deadline(json);
// The client sends streams of requests by HTTP/2 only. As JSON it reads the error of one request only if it is given the types
// of google.rpc, so this is protobuf.
await lookups(binary);
for (const refusal of JSON.parse(refusals)) await refused(json, refusal);
process.exit(failures ? 1 : 0);
