//! The house plan, enforced on the sources: imports run down and form no circles, mod.rs files hold no code, a public name
//! means one thing, replaced names stay replaced, and public items are documented.
//!
//! The rules are checked on syntax trees, so a comment or a string never counts as code. What follows from `use` and from
//! paths is worked out in source.rs.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use source::{Sources, is_test};
use syn::visit::Visit;
use syn::{Attribute, ImplItem, Item, TraitItem, Visibility};

/// The floor of each room. A room may import the rooms on lower floors and no others.
const FLOORS: &[(&str, u8)] = &[
    ("main", 7),
    ("cli", 7),
    ("server", 6),
    ("rpc", 5),
    ("http", 5),
    ("validation", 4),
    ("allocation", 4),
    ("sync", 4),
    ("expiry", 4),
    ("notify", 4),
    // The capabilities that the others build on: the event log, and the rules of leases, which are pure.
    ("events", 3),
    ("lease", 3),
    ("cache", 2),
    ("ledger", 2),
    ("netbox", 2),
    ("rpki", 2),
    ("irr", 2),
    ("bgp", 2),
    ("dnsbl", 2),
    ("geofeed", 2),
    ("model", 1),
];

/// Rooms beside the house, and the rooms that each of them may import.
const BESIDE: &[(&str, &[&str])] = &[
    ("emulator", &["clock", "model"]),
    ("clock", &[]),
    ("web", &["model"]),
    ("ripestat", &["model", "web"]),
    ("jobs", &["clock", "model"]),
    ("telemetry", &["config"]),
    (
        "config",
        &[
            "netbox",
            "ledger",
            "expiry",
            "notify",
            "allocation",
            "validation",
            "rpki",
            "irr",
            "dnsbl",
            "ripestat",
            "model",
        ],
    ),
];

/// Identifiers that the glossary replaced. None of them may come back, in the product or in its tests.
const REPLACED: &[&str] = &[
    "AddressWish",
    "AssignWish",
    "Books",
    "House",
    "Happening",
    "PastChange",
    "PrefixWish",
    "PreflightWish",
    "Resting",
    "Shelves",
    "Sighting",
    "Standing",
    "Told",
    "Witness",
    "Works",
    "fold_back",
    "happening",
    "happenings",
    "include_wish",
    "is_resting",
    "matter",
    "past_changes",
    "shelf",
    "shelves",
    "take_up",
    "untold",
    "wake",
    "wish",
    "wishes",
    "witnessed_by",
];

/// Type names that the glossary replaced, and that are fine as names of variants: an address block has a holder.
const REPLACED_TYPES: &[&str] =
    &["Answer", "Change", "Feed", "Holder", "Nobody", "Outcome", "Place", "Seen", "Table", "Target"];

/// Doc lines of three words or fewer that the whole of src/ may hold.
const SHORT_DOC_LINES: usize = 80;

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// Whether one room may import another.
fn may_import(room: &str, import: &str) -> bool {
    if room == import {
        return true;
    }
    if let Some((_, allowed)) = BESIDE.iter().find(|(name, _)| *name == room) {
        return allowed.contains(&import);
    }
    match (floor(room), floor(import)) {
        (Some(from), Some(to)) => to < from,
        (Some(from), None) => match import {
            "emulator" => room == "cli",
            "config" | "telemetry" => from >= 5,
            "jobs" => from >= 3,
            "clock" | "web" | "ripestat" => from >= 2,
            _ => false,
        },
        (None, _) => false,
    }
}

#[test]
fn imports_run_downwards() {
    let sources = Sources::read("src");
    let mut wrong = BTreeSet::new();
    for (file, imports) in sources.imports() {
        let room = sources.room(file);
        for import in imports.into_iter().map(|import| sources.room(import)) {
            if room != "lib" && !may_import(&room, &import) {
                wrong.insert(format!("{}: {room} imports {import}", sources.path(file)));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that run upwards or sideways:\n{}", lines(wrong));
}

#[test]
fn imports_form_no_circles() {
    let sources = Sources::read("src");
    let circles: Vec<String> = sources
        .circles()
        .into_iter()
        .map(|files| files.into_iter().map(|file| sources.path(file)).collect::<Vec<_>>().join(" <-> "))
        .collect();
    assert!(circles.is_empty(), "files that import each other in a circle:\n{}", lines(circles));
}

#[test]
fn a_mod_rs_holds_a_description_and_exports_only() {
    let sources = Sources::read("src");
    let mut wrong = Vec::new();
    for file in sources.files().filter(|file| file.path.ends_with("mod.rs")) {
        let prose = file.text.lines().take_while(|line| line.starts_with("//!")).count();
        if prose < 3 {
            wrong.push(format!("{}: {prose} lines of description", file.path));
        }
        for item in &file.syntax.items {
            let exports = match item {
                Item::Mod(module) => module.content.is_none(),
                Item::Use(import) => !matches!(import.vis, Visibility::Inherited),
                _ => false,
            };
            if !exports {
                wrong.push(format!("{}: holds more than `mod` and `pub use`", file.path));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "mod.rs files with code:\n{}", lines(wrong));
}

#[test]
fn every_file_begins_with_prose_and_holds_one_idea() {
    let sources = Sources::read("src");
    for file in sources.files() {
        let test_file = file.path.ends_with("tests.rs");
        assert!(file.text.starts_with("//!") || test_file, "{} begins without prose", file.path);
        let count = file.text.lines().count();
        assert!(count <= 510, "{} has {count} lines", file.path);
        let name = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        let vague = ["util", "utils", "helper", "helpers", "common", "misc", "manager"];
        assert!(!vague.contains(&name), "the name of {} does not say what it holds", file.path);
    }
}

#[test]
fn generated_types_and_http_stay_in_their_rooms() {
    let sources = Sources::read("src");
    for file in sources.files() {
        let room = file.room();
        if !matches!(room, "rpc" | "cli" | "server" | "lib") {
            assert!(!file.text.contains("rpc::proto"), "{} knows the wire types of the API", file.path);
        }
        if !matches!(room, "netbox" | "notify" | "web") {
            assert!(!file.text.contains("reqwest::"), "{} speaks HTTP by itself", file.path);
        }
    }
}

#[test]
fn a_public_type_name_is_defined_once() {
    let mut defined: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in Sources::read("src").files() {
        for item in &file.syntax.items {
            let (name, visibility) = match item {
                Item::Struct(item) => (&item.ident, &item.vis),
                Item::Enum(item) => (&item.ident, &item.vis),
                Item::Trait(item) => (&item.ident, &item.vis),
                Item::Type(item) => (&item.ident, &item.vis),
                _ => continue,
            };
            if !matches!(visibility, Visibility::Inherited) && name != "Error" {
                defined.entry(name.to_string()).or_default().insert(file.path.clone());
            }
        }
    }
    assert!(defined.len() > 200, "only {} public types were found", defined.len());
    let replaced: Vec<String> = REPLACED_TYPES
        .iter()
        .filter(|name| defined.contains_key(**name))
        .map(|name| (*name).to_owned())
        .collect();
    assert!(replaced.is_empty(), "public types with a name that the glossary replaced:\n{}", lines(replaced));
    let twice: Vec<String> = defined
        .into_iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| format!("{name}: {}", files.into_iter().collect::<Vec<_>>().join(", ")))
        .collect();
    assert!(twice.is_empty(), "public type names with two meanings:\n{}", lines(twice));
}

#[test]
fn replaced_identifiers_do_not_come_back() {
    let mut found = BTreeSet::new();
    for root in ["src", "tests", "benches"] {
        for file in Sources::read(root).files() {
            let tokens: TokenStream = file.text.parse().unwrap();
            visit_identifiers(tokens, &mut |name| {
                if REPLACED.contains(&name) {
                    found.insert(format!("{root}/{}: {name}", file.path));
                }
            });
        }
    }
    assert!(found.is_empty(), "identifiers that the glossary replaced:\n{}", lines(found));
}

fn visit_identifiers(tokens: TokenStream, visit: &mut impl FnMut(&str)) {
    for token in tokens {
        match token {
            TokenTree::Ident(name) => visit(&name.to_string()),
            TokenTree::Group(group) => visit_identifiers(group.stream(), visit),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// rustc's `missing_docs` cannot leave out enum variants and fields, which often need no comment. So this test asks for
/// what remains: a comment on every public type, trait, function, method and constant.
#[test]
fn public_items_are_documented() {
    let mut missing = Vec::new();
    for file in Sources::read("src").files() {
        let mut finder = Undocumented { path: &file.path, found: &mut missing };
        finder.visit_file(&file.syntax);
    }
    assert!(missing.is_empty(), "public items without a doc comment:\n{}", lines(missing));
}

struct Undocumented<'a> {
    path: &'a str,
    found: &'a mut Vec<String>,
}

impl Undocumented<'_> {
    fn check(&mut self, name: &impl ToString, visibility: &Visibility, attributes: &[Attribute]) {
        let documented = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
        if matches!(visibility, Visibility::Public(_)) && !documented {
            self.found.push(format!("{}: {}", self.path, name.to_string()));
        }
    }
}

impl<'ast> Visit<'ast> for Undocumented<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Struct(item) => self.check(&item.ident, &item.vis, &item.attrs),
            Item::Enum(item) => self.check(&item.ident, &item.vis, &item.attrs),
            Item::Trait(item) => {
                self.check(&item.ident, &item.vis, &item.attrs);
                for method in &item.items {
                    if let TraitItem::Fn(method) = method {
                        self.check(&method.sig.ident, &item.vis, &method.attrs);
                    }
                }
            }
            Item::Type(item) => self.check(&item.ident, &item.vis, &item.attrs),
            Item::Fn(item) => self.check(&item.sig.ident, &item.vis, &item.attrs),
            Item::Const(item) => self.check(&item.ident, &item.vis, &item.attrs),
            Item::Mod(item) if is_test(&item.attrs) => {}
            Item::Impl(item) if item.trait_.is_none() => {
                for method in &item.items {
                    match method {
                        ImplItem::Fn(method) => self.check(&method.sig.ident, &method.vis, &method.attrs),
                        ImplItem::Const(value) => self.check(&value.ident, &value.vis, &value.attrs),
                        _ => {}
                    }
                }
            }
            _ => syn::visit::visit_item(self, item),
        }
    }
}

#[test]
fn doc_comments_say_something() {
    let mut short = Vec::new();
    for file in Sources::read("src").files() {
        for (index, line) in file.text.lines().enumerate() {
            let line = line.trim_start();
            let Some(words) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else { continue };
            if (1..=3).contains(&words.split_whitespace().count()) {
                short.push(format!("{}:{}: {line}", file.path, index + 1));
            }
        }
    }
    assert!(
        short.len() <= SHORT_DOC_LINES,
        "{} doc lines of three words or fewer, more than {SHORT_DOC_LINES}:\n{}",
        short.len(),
        lines(short)
    );
}

/// docs/architecture.md is what a newcomer follows, so it names every room, and no file that does not exist.
#[test]
fn the_architecture_document_names_every_room_and_no_missing_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let named: BTreeSet<&str> = map.split('`').skip(1).step_by(2).filter(|name| name.contains('/')).collect();
    let missing: BTreeSet<String> = named
        .iter()
        .filter(|name| name.starts_with("src/") || name.starts_with("tests/"))
        .filter(|name| !root.join(name).exists())
        .map(|name| format!("{name}: does not exist"))
        .collect();
    let rooms: BTreeSet<String> = Sources::read("src").files().map(|file| file.room().to_owned()).collect();
    let unnamed: BTreeSet<String> = rooms
        .into_iter()
        .filter(|room| room != "lib" && !named.contains(format!("src/{room}/").as_str()))
        .filter(|room| !named.contains(format!("src/{room}.rs").as_str()))
        .map(|room| format!("{room}: is not on the map"))
        .collect();
    let wrong = missing.into_iter().chain(unnamed).collect::<Vec<_>>();
    assert!(wrong.is_empty(), "docs/architecture.md:\n{}", lines(wrong));
}

fn lines(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().collect::<Vec<_>>().join("\n")
}
