//! The structure of the code: no files import each other in a circle, in any room; views of the window change nothing; a name that
//! many files speak of means one thing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use syn::{Item, UseTree, visit::Visit};

const ROOMS: [&str; 6] = ["imaging", "kernels", "network", "engine", "training", "compression"];

/// A module, by its path from the root of its crate.
type Module = Vec<String>;

/// A file: what it imports under which name, and what else it names.
#[derive(Default)]
struct Source {
    imports: BTreeMap<String, Vec<String>>,
    paths: BTreeSet<Vec<String>>,
}

/// The modules of a crate, each a file.
struct Crate(BTreeMap<Module, Source>);

impl Crate {
    fn read(root: &Path) -> Self {
        let mut modules = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                let is_other = ["tests", "benches", "fuzz", "sanitize", "main.rs"].contains(&name);
                if path.is_dir() && !is_other {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") && !is_other {
                    modules.insert(module_of(path.strip_prefix(root).unwrap()), Source::read(&path));
                }
            }
        }
        Self(modules)
    }

    /// The module that a path in `from` leads to.
    fn target(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.clone(),
            "super" => {
                let mut at = from.clone();
                at.pop()?;
                while let Some(("super", further)) =
                    rest.split_first().map(|(first, further)| (first.as_str(), further))
                {
                    at.pop()?;
                    rest = further;
                }
                at
            }
            name => {
                let child: Module = from.iter().cloned().chain([name.to_owned()]).collect();
                if self.0.contains_key(&child) {
                    child
                } else {
                    let import =
                        self.0.get(from)?.imports.get(name).filter(|import| depth > 0 && import[..] != path[..1])?;
                    let whole: Vec<String> = import.iter().chain(rest).cloned().collect();
                    return self.target(from, &whole, depth - 1);
                }
            }
        };
        for (index, name) in rest.iter().enumerate() {
            let child: Module = at.iter().cloned().chain([name.clone()]).collect();
            if self.0.contains_key(&child) {
                at = child;
                continue;
            }
            // A name that the module has from elsewhere leads there.
            return match self.0.get(&at)?.imports.get(name).filter(|_| depth > 0) {
                Some(import) => {
                    let whole: Vec<String> = import.iter().chain(&rest[index + 1..]).cloned().collect();
                    self.target(&at, &whole, depth - 1).or(Some(at))
                }
                None => Some(at),
            };
        }
        Some(at)
    }

    fn arrows(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let of = |module: &Module, source: &Source| {
            let named = source.paths.iter().chain(source.imports.values());
            // A file may use what the folder it lies in is about.
            named.filter_map(|path| self.target(module, path, 8)).filter(|to| !module.starts_with(to)).collect()
        };
        self.0.iter().map(|(module, source)| (module.clone(), of(module, source))).collect()
    }
}

fn module_of(path: &Path) -> Module {
    let mut module: Module = path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if ["mod", "lib"].contains(&module.last().unwrap().as_str()) {
        module.pop();
    }
    module
}

impl Source {
    fn read(path: &PathBuf) -> Self {
        let mut source = Self::default();
        let file = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
        source.visit_file(&file);
        source
    }

    fn import(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.import(&path.tree, &with(&path.ident)),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, before)),
            UseTree::Name(name) if name.ident == "self" => {
                self.imports.insert(before.last().unwrap().clone(), before.to_vec());
            }
            UseTree::Name(name) => drop(self.imports.insert(name.ident.to_string(), with(&name.ident))),
            UseTree::Rename(rename) => drop(self.imports.insert(rename.rename.to_string(), with(&rename.ident))),
            UseTree::Glob(_) => drop(self.paths.insert(before.to_vec())),
        }
    }
}

impl<'a> Visit<'a> for Source {
    fn visit_item(&mut self, item: &'a Item) {
        match item {
            Item::Use(item) => self.import(&item.tree, &[]),
            // Tests look at whatever they need.
            Item::Mod(item) if item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) => {}
            _ => syn::visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.segments.len() > 1 {
            self.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }
}

/// Modules that lead back to themselves: what is left when all that lead nowhere, and all that nothing leads to, are taken away.
fn circles(mut arrows: BTreeMap<Module, BTreeSet<Module>>) -> BTreeMap<Module, BTreeSet<Module>> {
    loop {
        let before = arrows.len();
        let led_to: BTreeSet<Module> = arrows.values().flatten().cloned().collect();
        arrows.retain(|module, to| !to.is_empty() && led_to.contains(module));
        let left: BTreeSet<Module> = arrows.keys().cloned().collect();
        arrows.values_mut().for_each(|to| to.retain(|to| left.contains(to)));
        if arrows.len() == before && arrows.values().all(|to| !to.is_empty()) {
            return arrows;
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let app = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    let rooms = ROOMS.iter().map(|room| app.join("..").join(room)).chain([app.to_owned()]);
    for room in rooms {
        let code = Crate::read(&room);
        assert!(code.0.len() > 5, "{} has files", room.display());
        let found = circles(code.arrows());
        let told: Vec<_> = found
            .iter()
            .map(|(from, to)| {
                let to: Vec<_> = to.iter().map(|to| to.join("/")).collect();
                format!("{} -> {}", from.join("/"), to.join(", "))
            })
            .collect();
        if !told.is_empty() {
            all.push(format!("{}:\n{}", room.display(), told.join("\n")));
        }
    }
    assert!(all.is_empty(), "circles in {}", all.join("\n"));
}

/// The test can fail: two files that name each other, one of them by what its folder hands on.
#[test]
fn a_circle_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a; mod b; mod c; pub use a::One;");
    write("a.rs", "pub struct One; fn f() { crate::b::inner::two(); }");
    write("b/mod.rs", "pub mod inner;");
    write("b/inner.rs", "use crate::One; pub fn two() -> One { One }");
    write("c.rs", "use super::One; #[cfg(test)] mod tests { use crate::b; }");
    let found = circles(Crate::read(folder.path()).arrows());
    let names: Vec<_> = found.keys().map(|module| module.join("/")).collect();
    assert_eq!(names, ["a", "b/inner"]);
}

/// Files of Rust below a folder, tests aside.
fn code_below(root: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![root.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_other = ["tests", "tests.rs", "benches", "fuzz", "sanitize"].contains(&name);
            if path.is_dir() && !is_other {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_other {
                found.push(path);
            }
        }
    }
    found
}

/// What functions take, and the types that are made.
#[derive(Default)]
struct Seen {
    taken: Vec<String>,
    types: Vec<String>,
    texts: Vec<String>,
}

impl<'a> Visit<'a> for Seen {
    fn visit_type_reference(&mut self, reference: &'a syn::TypeReference) {
        if let (Some(_), syn::Type::Path(path)) = (&reference.mutability, &*reference.elem) {
            self.taken.extend(path.path.segments.last().map(|segment| segment.ident.to_string()));
        }
        syn::visit::visit_type_reference(self, reference);
    }

    fn visit_lit_str(&mut self, text: &'a syn::LitStr) {
        self.texts.push(text.value());
    }

    fn visit_macro(&mut self, made: &'a syn::Macro) {
        self.in_tokens(made.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'a syn::Attribute) {
        if let (true, syn::Meta::List(list)) = (attribute.path().is_ident("error"), &attribute.meta) {
            self.in_tokens(list.tokens.clone());
        }
    }

    fn visit_item(&mut self, item: &'a Item) {
        let is_test = matches!(item, Item::Mod(item) if item.attrs.iter().any(|attr| attr.path().is_ident("cfg")));
        if !is_test {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_struct(&mut self, item: &'a syn::ItemStruct) {
        self.types.push(item.ident.to_string());
        syn::visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'a syn::ItemEnum) {
        self.types.push(item.ident.to_string());
        syn::visit::visit_item_enum(self, item);
    }
}

impl Seen {
    /// Texts that macros are given.
    fn in_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Group(group) => self.in_tokens(group.stream()),
                proc_macro2::TokenTree::Literal(literal) => {
                    let text = syn::parse_str::<syn::LitStr>(&literal.to_string());
                    self.texts.extend(text.ok().map(|text| text.value()));
                }
                _ => {}
            }
        }
    }
}

fn seen(path: &Path) -> Seen {
    let mut seen = Seen::default();
    seen.visit_file(&syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap());
    seen
}

#[test]
fn views_change_nothing() {
    let app = Path::new(env!("CARGO_MANIFEST_DIR"));
    let views = code_below(&app.join("window/views"));
    assert!(views.len() > 20, "{}", views.len());
    let state = ["Window", "Shell", "UpscaleTab", "Compress", "ModelsTab", "Services", "Settings", "Queue"];
    for path in views {
        let found = seen(&path);
        let changed: Vec<_> = found.taken.iter().filter(|name| state.contains(&name.as_str())).collect();
        assert!(changed.is_empty(), "{} changes {changed:?}", path.display());
    }
    // What the test looks for is found where it is.
    let changing = seen(&app.join("window/app.rs"));
    assert!(!changing.types.is_empty() && seen(&app.join("window/frame.rs")).taken.iter().any(|name| name == "Ui"));
}

#[test]
fn names_that_many_speak_of_mean_one_thing() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut made: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in code_below(&source) {
        for name in seen(&path).types {
            made.entry(name).or_default().push(path.clone());
        }
    }
    for name in ["Report", "Run", "Progress", "Ready", "Preset", "Part", "Recipe", "Plan", "Actor"] {
        let of = made.get(name).map(Vec::len);
        assert_eq!(of, Some(1), "{name}: {:?}", made.get(name));
    }
}

#[test]
fn the_program_has_tensors_from_the_rooms_below_alone() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(manifest.contains("dualres-network") && !manifest.contains("burn"));
}

/// Whether a text has an option of a command in it, such as `--scale`.
fn names_an_option(text: &str) -> bool {
    let words = text.split(|c: char| c.is_whitespace() || "`(\"'".contains(c));
    words.filter_map(|word| word.strip_prefix("--")).any(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Whoever uses them says by what option, or by what button.
#[test]
fn libraries_name_no_options_of_commands() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut texts, mut named) = (0, Vec::new());
    for path in ROOMS.iter().flat_map(|room| code_below(&source.join(room))) {
        let found = seen(&path).texts;
        texts += found.len();
        named.extend(found.into_iter().filter(|text| names_an_option(text)).map(|text| (path.clone(), text)));
    }
    assert!(texts > 1000, "{texts}");
    assert!(named.is_empty(), "{named:#?}");
    assert!(
        names_an_option("give it with --dual") && names_an_option("(`--scale` chooses)") && !names_an_option("a -- b")
    );
}
