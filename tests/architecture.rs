//! The house plan, enforced: imports run downwards, files stay one idea, doors have plates.

use std::fs;
use std::path::{Path, PathBuf};

/// The floor of each room; a room knows the rooms below it and none above it.
const FLOORS: &[(&str, u8)] = &[
    ("main", 7),
    ("cli", 7),
    ("server", 6),
    ("rpc", 5),
    ("http", 5),
    ("validation", 4),
    ("lease", 4),
    ("allocation", 4),
    ("sync", 4),
    ("expiry", 4),
    ("notify", 4),
    ("events", 3),
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

/// Rooms beside the house: which rooms may import them is said here, and what they may import.
const BESIDE: &[(&str, &[&str])] = &[
    ("emulator", &["clock"]),
    ("clock", &[]),
    ("web", &[]),
    ("ripestat", &["web"]),
    ("jobs", &[]),
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

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn all() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    assert!(files.len() > 40, "only {} files found: the test looks in the wrong place", files.len());
    files
        .into_iter()
        .map(|path| (path.strip_prefix(&root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect()
}

fn room_of(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Rooms that a text mentions by `crate::room`, also within braces.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let name: String =
                name.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            found.push(name);
        }
    }
    found
}

#[test]
fn imports_run_downwards() {
    let mut wrong = Vec::new();
    for (path, text) in all() {
        let room = room_of(&path);
        if room == "lib" {
            continue;
        }
        for import in imports(&text) {
            let beside = BESIDE.iter().find(|(name, _)| *name == room);
            let allowed = match (floor(&room), floor(&import)) {
                _ if import == room => true,
                // A room beside the house imports only what it is allowed to.
                _ if beside.is_some() => beside.is_some_and(|(_, may)| may.contains(&import.as_str())),
                (Some(from), Some(to)) => to < from,
                // Rooms on a floor may use what stands beside the house; only cli knows the emulator.
                (Some(from), None) => match import.as_str() {
                    "emulator" => room == "cli",
                    "config" | "telemetry" => from >= 5,
                    "jobs" => from >= 3,
                    "clock" | "web" | "ripestat" => from >= 2,
                    _ => false,
                },
                (None, _) => false,
            };
            if !allowed {
                wrong.push(format!("{}: {room} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that run upwards or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn generated_types_stay_at_the_edge() {
    for (path, text) in all() {
        let room = room_of(&path);
        if !matches!(room.as_str(), "rpc" | "cli" | "server" | "lib") {
            assert!(!text.contains("rpc::proto"), "{} knows the wire types of the API", path.display());
        }
        if !matches!(room.as_str(), "netbox" | "notify" | "web") {
            assert!(
                !text.contains("reqwest::"),
                "{} speaks HTTP past src/netbox, src/notify and src/web",
                path.display()
            );
        }
    }
}

#[test]
fn no_file_is_more_than_one_idea() {
    for (path, text) in all() {
        let lines = text.lines().count();
        assert!(lines <= 510, "{} has {lines} lines", path.display());
        let name = path.file_stem().unwrap().to_string_lossy();
        let vague = ["util", "utils", "helper", "helpers", "common", "misc", "manager"];
        assert!(!vague.contains(&name.as_ref()), "{} says nothing by its name", path.display());
    }
}

#[test]
fn every_door_has_a_plate_and_no_room_behind_it() {
    for (path, text) in all() {
        if path.file_name().is_some_and(|name| name == "mod.rs") {
            let prose = text.lines().take_while(|line| line.starts_with("//!")).count();
            assert!(prose >= 3, "{}: {prose} lines of prose", path.display());
        }
        assert!(
            text.starts_with("//!") || path.ends_with("index/tests.rs"),
            "{} begins without prose",
            path.display()
        );
    }
}
