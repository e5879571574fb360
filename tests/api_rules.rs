//! The rules of the API that no linter knows: Google's AIPs as DESIGN.md applies them, checked on the descriptors of proto/.

use leasehold::rpc::proto::DESCRIPTORS;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
};
use prost_types::field_descriptor_proto::Type;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, SourceCodeInfo,
};

const PACKAGE: &str = "leasehold.v1";

/// Names of string fields that would hold one of a closed set of words. Such a field is an enum.
const WORDS_OF_A_SET: &[&str] = &[
    "backend", "class", "kind", "level", "mode", "phase", "protocol", "result", "severity", "state",
    "status", "type", "verdict",
];

/// The fields of that kind whose words are NetBox's, which an installation may extend.
const WORDS_OF_NETBOX: &[&str] = &["Address.status", "Prefix.status"];

/// The verbs of methods that change nothing in NetBox.
const READS: &[&str] =
    &["BatchLookup", "Check", "Get", "List", "Lookup", "Preflight", "StreamLookup", "Validate", "Watch"];

/// The verbs of methods that start work of the server, which may be started any number of times.
const STARTS: &[&str] = &["Replay", "Test", "Trigger"];

fn pool(set: &FileDescriptorSet) -> DescriptorPool {
    DescriptorPool::decode(set.encode_to_vec().as_slice()).unwrap()
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(DESCRIPTORS).unwrap()
}

/// Everything in which the API breaks a rule.
fn violations(pool: &DescriptorPool) -> Vec<String> {
    let ours = |name: &str| name.strip_prefix(PACKAGE).is_some_and(|rest| rest.starts_with('.'));
    let messages = pool.all_messages().filter(|message| ours(message.full_name()) && !message.is_map_entry());
    let mut found: Vec<String> =
        messages.flat_map(|message| message.fields().flat_map(of_field).collect::<Vec<_>>()).collect();
    found.extend(pool.all_enums().filter(|kind| ours(kind.full_name())).filter_map(of_enum));
    let services = pool.services().filter(|service| ours(service.full_name()));
    found.extend(services.flat_map(|service| service.methods().flat_map(of_method).collect::<Vec<_>>()));
    found
}

fn is_message(field: &FieldDescriptor, full_name: &str) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == full_name)
}

/// The name of a field with its message, as the lists above give it.
fn title(field: &FieldDescriptor) -> String {
    format!("{}.{}", field.parent_message().name(), field.name())
}

fn of_field(field: FieldDescriptor) -> Vec<String> {
    let (name, text) = (field.name(), title(&field));
    let mut found = Vec::new();
    let mut rule = |holds: bool, why: &str| {
        if !holds {
            found.push(format!("{text} {why}"));
        }
    };
    let (timestamp, date) = ("google.protobuf.Timestamp", "google.type.Date");
    rule(
        !is_message(&field, timestamp) || name.ends_with("_time"),
        "is an instant and does not end in _time",
    );
    rule(
        !is_message(&field, date) || name.ends_with("_date") || name == "date",
        "is a date and neither ends in _date nor is called date",
    );
    rule(is_message(&field, timestamp) || !name.ends_with("_time"), "ends in _time and is no instant");
    let span = ["_seconds", "_minutes", "_hours", "_millis", "_ms"].iter().any(|unit| name.ends_with(unit));
    rule(!span, "is a span and no google.protobuf.Duration");
    rule(!name.ends_with("_days") || field.kind() == Kind::Int32, "is a number of days and no int32");
    let closed_set = field.kind() == Kind::String && WORDS_OF_A_SET.contains(&name);
    let netbox = WORDS_OF_NETBOX.contains(&text.as_str())
        || (name == "status" && field.parent_message().name().ends_with("Request"));
    rule(!closed_set || netbox, "is a string with the words of a closed set and no enum");
    rule(
        name != "reason" || (field.kind() == Kind::String && comment(&field).contains("UPPER_SNAKE")),
        "is not documented as an UPPER_SNAKE word for programs",
    );
    let failure = is_message(&field, &format!("{PACKAGE}.Failure"));
    rule(
        failure == (name == "failure" || name == "last_failure"),
        "is not named as a Failure is, or is none",
    );
    let error_text = field.kind() == Kind::String && ["error", "last_error", "trouble"].contains(&name);
    rule(!error_text, "is the text of an error and no Failure");
    let request = field.parent_message().name().ends_with("Request");
    rule(name != "vrf_id", "names a VRF by id only: use VrfRef");
    rule(!(request && name == "vrf") || is_message(&field, &format!("{PACKAGE}.VrfRef")), "is no VrfRef");
    rule(
        !(request && name == "tenant") || is_message(&field, &format!("{PACKAGE}.TenantRef")),
        "is no TenantRef",
    );
    found
}

/// The comment before a field.
fn comment(field: &FieldDescriptor) -> String {
    let file = field.parent_file();
    let info: Option<&SourceCodeInfo> = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == field.path()));
    location.map(|location| location.leading_comments().to_owned()).unwrap_or_default()
}

fn of_enum(kind: EnumDescriptor) -> Option<String> {
    let zero = kind.get_value(0)?;
    (!zero.name().ends_with("_UNSPECIFIED"))
        .then(|| format!("{} of {} is not UNSPECIFIED", zero.name(), kind.name()))
}

fn has(message: &MessageDescriptor, field: &str, kind: &Kind) -> bool {
    message.get_field_by_name(field).is_some_and(|field| field.kind() == *kind && !field.is_list())
}

fn of_method(method: MethodDescriptor) -> Vec<String> {
    let (name, request, answer) = (method.name(), method.input(), method.output());
    let mut found = Vec::new();
    let mut rule = |holds: bool, why: &str| {
        if !holds {
            found.push(format!("{name} {why}"));
        }
    };
    if name.starts_with("List") || name == "GetAddressHistory" {
        let pages = has(&request, "page_size", &Kind::Int32)
            && has(&request, "page_token", &Kind::String)
            && has(&answer, "next_page_token", &Kind::String);
        rule(pages, "has no pages");
    }
    if name.starts_with("Update") {
        let mask = request.get_field_by_name("update_mask");
        let mask = mask.is_some_and(|field| is_message(&field, "google.protobuf.FieldMask"));
        rule(mask, "has no update_mask");
    }
    // A verb that is in neither list is a write until somebody decides otherwise.
    let is_write = !READS.iter().chain(STARTS).any(|verb| name.starts_with(verb));
    rule(!is_write || has(&request, "request_id", &Kind::String), "is a write and has no request_id");
    rule(request.name() == format!("{name}Request"), "has a request of another name");
    rule(answer.name() == format!("{name}Response"), "has an answer of another name");
    found
}

#[test]
fn the_api_keeps_every_rule() {
    assert_eq!(violations(&pool(&descriptors())), [""; 0]);
}

/// Changes one message of the API.
fn with_message(name: &str, change: impl FnOnce(&mut DescriptorProto)) -> Vec<String> {
    let mut set = descriptors();
    let mut messages = set.file.iter_mut().flat_map(|file| &mut file.message_type);
    change(messages.find(|message| message.name() == name).unwrap());
    violations(&pool(&set))
}

/// Gives one field of the API another name or type.
fn with_field(message: &str, field: &str, change: impl FnOnce(&mut FieldDescriptorProto)) -> Vec<String> {
    with_message(message, |message| {
        change(message.field.iter_mut().find(|found| found.name() == field).unwrap());
    })
}

fn renamed(message: &str, field: &str, to: &str) -> Vec<String> {
    with_field(message, field, |field| {
        field.name = Some(to.to_owned());
        field.json_name = None;
    })
}

fn without(message: &str, field: &str) -> Vec<String> {
    with_message(message, |message| message.field.retain(|found| found.name() != field))
}

fn as_string(field: &mut FieldDescriptorProto) {
    field.set_type(Type::String);
    field.type_name = None;
}

#[test]
fn each_rule_refuses_what_breaks_it() {
    let refused = |found: Vec<String>, why: &str| {
        assert!(
            !found.is_empty() && found.iter().all(|violation| violation.contains(why)),
            "{why}: {found:?}"
        );
    };
    refused(renamed("Failure", "fail_time", "failed_at"), "does not end in _time");
    refused(renamed("Lease", "expiry_date", "expiry"), "neither ends in _date");
    refused(with_field("Failure", "fail_time", as_string), "is no instant");
    refused(renamed("JobStatus", "interval", "interval_seconds"), "is a span");
    refused(
        with_field("Lease", "days_left", |field| {
            field.name = Some("left_days".to_owned());
            field.set_type(Type::Uint64);
        }),
        "is a number of days and no int32",
    );
    refused(with_field("SyncStatus", "phase", as_string), "is a string with the words of a closed set");
    refused(renamed("Listing", "text", "reason"), "UPPER_SNAKE");
    refused(renamed("CheckCause", "failure", "cause"), "is not named as a Failure is");
    refused(renamed("CheckCause", "source", "trouble"), "is the text of an error");
    refused(renamed("Listing", "zone", "vrf_id"), "use VrfRef");
    refused(with_field("PreflightRequest", "vrf", as_string), "is no VrfRef");
    refused(with_field("RegisterLeaseRequest", "tenant", as_string), "is no TenantRef");
    for (list, answer) in
        [("ListLeases", "ListLeases"), ("GetAddressHistory", "GetAddressHistory"), ("ListVrfs", "ListVrfs")]
    {
        refused(without(&format!("{list}Request"), "page_size"), "has no pages");
        refused(without(&format!("{list}Request"), "page_token"), "has no pages");
        refused(without(&format!("{answer}Response"), "next_page_token"), "has no pages");
    }
    refused(without("UpdateLeaseRequest", "update_mask"), "has no update_mask");
    refused(without("EndLeaseRequest", "request_id"), "has no request_id");
    let mut set = descriptors();
    let file = set.file.iter_mut().find(|file| file.package() == PACKAGE).unwrap();
    let value =
        EnumValueDescriptorProto { name: Some("COLOUR_RED".to_owned()), number: Some(0), options: None };
    let colour =
        EnumDescriptorProto { name: Some("Colour".to_owned()), value: vec![value], ..Default::default() };
    file.enum_type.push(colour);
    refused(violations(&pool(&set)), "is not UNSPECIFIED");
    let mut set = descriptors();
    let has_leases =
        |file: &&mut FileDescriptorProto| file.service.iter().any(|service| service.name() == "LeaseService");
    let file = set.file.iter_mut().find(has_leases).unwrap();
    file.service[0].method.push(MethodDescriptorProto {
        name: Some("GetOwner".to_owned()),
        input_type: Some(format!(".{PACKAGE}.GetLeaseRequest")),
        output_type: Some(format!(".{PACKAGE}.GetOwnerResponse")),
        ..Default::default()
    });
    file.message_type
        .push(DescriptorProto { name: Some("GetOwnerResponse".to_owned()), ..Default::default() });
    refused(violations(&pool(&set)), "GetOwner has a request of another name");
}
