//! The whole API as a snapshot of its descriptors: every service, method, message, field and enum value. A change of the API
//! cannot go unnoticed in a review, since it changes this file as well. `buf breaking` (tests/run) compares with what has landed.

use std::fmt::Write as _;

use leasehold::rpc::proto;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto,
};

#[test]
fn the_api_is_this() {
    insta::assert_snapshot!("api", api());
}

#[test]
fn every_file_of_the_api_is_in_the_snapshot() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/leasehold/v1");
    let api = api();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(api.contains(&format!("file leasehold/v1/{name}\n")), "{name}");
    }
}

fn api() -> String {
    let mut files = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap().file;
    files.retain(|file| !file.package().starts_with("google.protobuf"));
    files.sort_by(|a, b| a.name().cmp(b.name()));
    let mut text = String::new();
    for file in &files {
        show_file(&mut text, file);
    }
    text
}

fn show_file(text: &mut String, file: &FileDescriptorProto) {
    writeln!(text, "file {}", file.name()).unwrap();
    writeln!(text, "  syntax {}, package {}", file.syntax(), file.package()).unwrap();
    for service in &file.service {
        show_service(text, service);
    }
    for message in &file.message_type {
        show_message(text, message, "  ");
    }
    for enumeration in &file.enum_type {
        show_enum(text, enumeration, "  ");
    }
    text.push('\n');
}

fn show_service(text: &mut String, service: &ServiceDescriptorProto) {
    writeln!(text, "  service {}", service.name()).unwrap();
    for method in &service.method {
        let stream = |on: bool| if on { "stream " } else { "" };
        writeln!(
            text,
            "    {}({}{}) -> {}{}",
            method.name(),
            stream(method.client_streaming()),
            short(method.input_type()),
            stream(method.server_streaming()),
            short(method.output_type()),
        )
        .unwrap();
    }
}

fn show_message(text: &mut String, message: &DescriptorProto, indent: &str) {
    writeln!(text, "{indent}message {}", message.name()).unwrap();
    for range in &message.reserved_range {
        writeln!(text, "{indent}  reserved {} to {}", range.start(), range.end() - 1).unwrap();
    }
    for name in &message.reserved_name {
        writeln!(text, "{indent}  reserved {name:?}").unwrap();
    }
    let mut fields: Vec<_> = message.field.iter().collect();
    fields.sort_by_key(|field| field.number());
    for field in fields {
        show_field(text, message, field, indent);
    }
    let deeper = format!("{indent}  ");
    for nested in &message.nested_type {
        show_message(text, nested, &deeper);
    }
    for enumeration in &message.enum_type {
        show_enum(text, enumeration, &deeper);
    }
}

fn show_field(text: &mut String, message: &DescriptorProto, field: &FieldDescriptorProto, indent: &str) {
    let label = match field.label() {
        Label::Repeated => "repeated ",
        Label::Required => "required ",
        Label::Optional if field.proto3_optional() => "optional ",
        Label::Optional => "",
    };
    let kind = match field.r#type() {
        Type::Message | Type::Enum | Type::Group => short(field.type_name()).to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    write!(text, "{indent}  {} {}: {label}{kind}", field.number(), field.name()).unwrap();
    // An optional scalar stands in a oneof of its own, which the compiler makes.
    if let Some(index) = field.oneof_index.filter(|_| !field.proto3_optional()) {
        write!(text, " in {}", message.oneof_decl[usize::try_from(index).unwrap()].name()).unwrap();
    }
    if field.json_name() != json_name(field.name()) {
        write!(text, ", in JSON {:?}", field.json_name()).unwrap();
    }
    text.push('\n');
}

fn show_enum(text: &mut String, enumeration: &EnumDescriptorProto, indent: &str) {
    writeln!(text, "{indent}enum {}", enumeration.name()).unwrap();
    for value in &enumeration.value {
        writeln!(text, "{indent}  {} {}", value.number(), value.name()).unwrap();
    }
}

/// A full name without the leading dot and without the API's own package.
fn short(name: &str) -> &str {
    let name = name.trim_start_matches('.');
    name.strip_prefix("leasehold.v1.").unwrap_or(name)
}

/// The JSON name that a field has unless the file says otherwise.
fn json_name(name: &str) -> String {
    let mut upper = false;
    let mut result = String::new();
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            letter if upper => {
                result.push(letter.to_ascii_uppercase());
                upper = false;
            }
            letter => result.push(letter),
        }
    }
    result
}
