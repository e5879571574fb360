//! The sources as a graph: which file takes a name from which other file.
//!
//! An edge is a `use` or a path that begins with `crate`, `super` or `self`, followed through re-exports to the file that
//! defines the name. So a mod.rs that only re-exports is never an end of an edge. Code for tests does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Attribute, Item, ItemUse, UseTree};

/// A parsed source file.
pub struct SourceFile {
    /// The path below the root that was read, with forward slashes.
    pub path: String,
    pub text: String,
    pub syntax: syn::File,
    /// The module path below the crate; empty for lib.rs.
    module: Vec<String>,
}

impl SourceFile {
    /// The top-level module that the file belongs to.
    pub fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }
}

/// Every file below one root.
pub struct Sources {
    files: Vec<SourceFile>,
    by_module: BTreeMap<Vec<String>, usize>,
}

/// Whether an item exists only in tests.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test"))
    })
}

impl Sources {
    /// Reads and parses every .rs file below a folder of the repository.
    pub fn read(root: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        let mut paths = Vec::new();
        find(&root, &mut paths);
        paths.sort();
        let files: Vec<SourceFile> = paths
            .into_iter()
            .map(|path| {
                let text = fs::read_to_string(&path).unwrap();
                let syntax =
                    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                let module = module_of(&path);
                SourceFile { path, text, syntax, module }
            })
            .collect();
        assert!(!files.is_empty(), "no sources below {}", root.display());
        let by_module = files.iter().enumerate().map(|(index, file)| (file.module.clone(), index)).collect();
        Self { files, by_module }
    }

    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter()
    }

    pub fn path(&self, file: usize) -> String {
        self.files[file].path.clone()
    }

    pub fn room(&self, file: usize) -> String {
        self.files[file].room().to_owned()
    }

    /// For each file, the other files that define what it imports.
    pub fn imports(&self) -> Vec<(usize, BTreeSet<usize>)> {
        (0..self.files.len())
            .map(|file| {
                let mut collector = Paths::default();
                collector.visit_file(&self.files[file].syntax);
                let mut targets: BTreeSet<usize> = collector
                    .found
                    .into_iter()
                    // Re-exports of a mod.rs are followed where the name is used.
                    .filter(|(path, exported)| !(*exported && self.is_door(file) && path.len() > 1))
                    .filter_map(|(path, _)| self.defining_file(&self.files[file].module, &path, 0))
                    .collect();
                targets.remove(&file);
                (file, targets)
            })
            .collect()
    }

    /// Groups of files that reach each other by imports.
    pub fn circles(&self) -> Vec<Vec<usize>> {
        let edges: BTreeMap<usize, BTreeSet<usize>> = self.imports().into_iter().collect();
        let reachable: Vec<BTreeSet<usize>> = (0..self.files.len())
            .map(|start| {
                let mut seen = BTreeSet::new();
                let mut next = vec![start];
                while let Some(file) = next.pop() {
                    next.extend(edges[&file].iter().copied().filter(|to| seen.insert(*to)));
                }
                seen
            })
            .collect();
        let circles: BTreeSet<Vec<usize>> = (0..self.files.len())
            .filter(|file| reachable[*file].contains(file))
            .map(|file| {
                reachable[file].iter().copied().filter(|other| reachable[*other].contains(&file)).collect()
            })
            .collect();
        circles.into_iter().collect()
    }

    fn is_door(&self, file: usize) -> bool {
        self.files[file].path.ends_with("mod.rs") || self.files[file].path == "lib.rs"
    }

    /// The file that defines what a path names, seen from a module; `None` for names from outside the crate.
    fn defining_file(&self, from: &[String], path: &[String], depth: usize) -> Option<usize> {
        assert!(depth < 20, "re-exports of {path:?} lead nowhere");
        let (mut module, mut rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (from.to_vec(), &path[1..]),
            "super" => (from[..from.len().checked_sub(1)?].to_vec(), &path[1..]),
            // `use name::…` where `name` is a child module of this one.
            name if self.child(from, name).is_some() => (from.to_vec(), path),
            _ => return None,
        };
        while rest.first().is_some_and(|name| name == "super") {
            module.pop()?;
            rest = &rest[1..];
        }
        while let Some(child) = rest.first().and_then(|name| self.child(&module, name)) {
            module = child;
            rest = &rest[1..];
        }
        let file = *self.by_module.get(&module)?;
        let Some(name) = rest.first() else { return Some(file) };
        for (exported, as_name) in exports(&self.files[file].syntax) {
            if &as_name == name && exported.last() != Some(&"*".to_owned()) {
                return self.defining_file(&module, &exported, depth + 1).or(Some(file));
            }
        }
        Some(file)
    }

    fn child(&self, module: &[String], name: &str) -> Option<Vec<String>> {
        let mut child = module.to_vec();
        child.push(name.to_owned());
        self.by_module.contains_key(&child).then_some(child)
    }
}

fn find(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// The re-exports of a file: what is exported, and under which name.
fn exports(file: &syn::File) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    for item in &file.items {
        if let Item::Use(import) = item
            && !matches!(import.vis, syn::Visibility::Inherited)
        {
            flatten(&import.tree, &mut Vec::new(), &mut |path, name| {
                found.push((path.to_vec(), name.to_owned()))
            });
        }
    }
    found
}

fn flatten(tree: &UseTree, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], &str)) {
    match tree {
        UseTree::Path(part) => {
            path.push(part.ident.to_string());
            flatten(&part.tree, path, visit);
            path.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            let last = path.last().cloned().unwrap_or_default();
            visit(path, &last);
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            path.push(name.clone());
            visit(path, &name);
            path.pop();
        }
        UseTree::Rename(rename) => {
            path.push(rename.ident.to_string());
            visit(path, &rename.rename.to_string());
            path.pop();
        }
        UseTree::Glob(_) => {
            path.push("*".to_owned());
            visit(path, "*");
            path.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, path, visit);
            }
        }
    }
}

/// Collects the paths of a file that may lead to another file, and whether each is a re-export.
#[derive(Default)]
struct Paths {
    found: Vec<(Vec<String>, bool)>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        let exported = !matches!(import.vis, syn::Visibility::Inherited);
        let found = &mut self.found;
        flatten(&import.tree, &mut Vec::new(), &mut |path, _| found.push((path.to_vec(), exported)));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if matches!(names[0].as_str(), "crate" | "super" | "self") && names.len() > 1 {
            self.found.push((names, false));
        }
        syn::visit::visit_path(self, path);
    }
}
