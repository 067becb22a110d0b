//! Whether every text of the window stands in every language, and nothing else does.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{Chinese, German, Japanese, Language, Portuguese, later, messages::in_language, templates::TEMPLATES};

#[test]
fn tags_of_systems_are_understood() {
    for (tag, language) in [
        ("de-AT", Some(German)),
        ("pt_BR.UTF-8", Some(Portuguese)),
        ("zh-Hans-CN", Some(Chinese)),
        ("zh", Some(Chinese)),
        ("zh-Hant-TW", None),
        ("zh-HK", None),
        ("ja", Some(Japanese)),
        ("C", None),
        ("nl-NL", None),
    ] {
        assert_eq!(Language::of_tag(tag), language, "{tag}");
    }
}

fn source() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Rust files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn tokens(file: &Path) -> TokenStream {
    std::fs::read_to_string(file).unwrap().parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn text(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else { return None };
    syn::parse_str::<syn::LitStr>(&literal.to_string()).ok().map(|literal| literal.value())
}

/// A call that gives a text in the language that is spoken.
#[derive(Debug)]
struct Call {
    texts: Vec<String>,
    arguments: BTreeSet<String>,
    file: PathBuf,
}

/// Calls of `tr!` and `tr_counted!`, and all literal texts.
fn walk(stream: TokenStream, file: &Path, calls: &mut Vec<Call>, literals: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        literals.extend(text(token));
        let TokenTree::Group(group) = token else { continue };
        walk(group.stream(), file, calls, literals);
        let before = |back: usize| at.checked_sub(back).map(|at| tokens[at].to_string()).unwrap_or_default();
        let name = before(2);
        if group.delimiter() != Delimiter::Parenthesis || before(1) != "!" || !matches!(&*name, "tr" | "tr_counted") {
            continue;
        }
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
        let parts: Vec<&[TokenTree]> = inner.split(is_comma).collect();
        let (skipped, wanted) = if name == "tr" { (0, 1) } else { (1, 2) };
        let texts: Vec<String> =
            parts.iter().skip(skipped).take(wanted).filter_map(|part| text(part.first()?)).collect();
        assert_eq!(texts.len(), wanted, "{}: {group}", file.display());
        let mut arguments: BTreeSet<String> = parts
            .iter()
            .skip(skipped + wanted)
            .filter(|part| part.len() > 2 && part[1].to_string() == "=")
            .map(|part| part[0].to_string())
            .collect();
        if name == "tr_counted" {
            arguments.insert("count".into());
        }
        calls.push(Call { texts, arguments, file: file.to_owned() });
    }
}

/// The calls of this program, without those of the module that defines them.
fn calls() -> (Vec<Call>, BTreeSet<String>) {
    let (mut calls, mut literals) = (Vec::new(), BTreeSet::new());
    for file in files(&source()) {
        if !file.starts_with(source().join("language")) {
            walk(tokens(&file), &file, &mut calls, &mut literals);
        }
    }
    (calls, literals)
}

fn places(text: &str) -> BTreeSet<String> {
    text.split("%{").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn what_a_text_names_is_given_to_it() {
    let (calls, _) = calls();
    assert!(calls.len() > 500, "{} calls", calls.len());
    for Call { texts, arguments, file } in calls {
        let named: BTreeSet<String> = texts.iter().flat_map(|text| places(text)).collect();
        // Languages may leave the number of one thing out.
        let unused: Vec<_> = arguments.difference(&named).filter(|name| *name != "count").collect();
        assert!(named.is_subset(&arguments) && unused.is_empty(), "{}: {texts:?} with {arguments:?}", file.display());
    }
}

#[test]
fn every_text_stands_in_every_language_and_no_other_does() {
    let mut wanted: BTreeSet<String> = calls().0.into_iter().flat_map(|call| call.texts).collect();
    wanted.extend(later::TEXTS.iter().chain(TEMPLATES).map(|&text| text.to_owned()));
    // Names of people's methods are the same everywhere.
    let methods = dualres_compression::Method::ALL.map(dualres_compression::Method::about);
    let said = methods.iter().flat_map(|about| [about.label, about.does]);
    wanted.extend(said.filter(|text| !["DRC", "ThiNet"].contains(text)).map(str::to_owned));
    for language in Language::ALL.into_iter().skip(1) {
        let file = source().join("locales").join(language.code()).with_extension("toml");
        let held: BTreeMap<String, String> = toml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let missing: Vec<_> = wanted.iter().filter(|text| !held.contains_key(*text)).collect();
        let unused: Vec<_> = held.keys().filter(|text| !wanted.contains(*text)).collect();
        assert!(missing.is_empty(), "{}: missing: {missing:#?}", file.display());
        assert!(unused.is_empty(), "{}: not used: {unused:#?}", file.display());
        for (text, translation) in &held {
            assert!(!translation.trim().is_empty(), "{}: {text}", file.display());
            let mut expected = places(text);
            if !places(translation).contains("count") && text.contains("%{count}") {
                expected.remove("count");
            }
            assert_eq!(places(translation), expected, "{}: {text}", file.display());
            let edges = |text: &str| [text.starts_with(' '), text.ends_with(' '), text.ends_with('…')];
            assert_eq!(edges(translation), edges(text), "{}: {text:?}", file.display());
        }
    }
}

/// Texts that are translated where they are shown, and stand elsewhere in English: there they must still stand.
#[test]
fn texts_that_stand_elsewhere_are_there() {
    let (mut literals, mut models) = (BTreeSet::new(), Vec::new());
    for file in files(&source().join(".."))
        .into_iter()
        .filter(|file| file.parent().is_none_or(|folder| !folder.ends_with("language")))
    {
        walk(tokens(&file), &file, &mut Vec::new(), &mut literals);
    }
    for entry in std::fs::read_dir(source().join("../../models")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            let bytes = std::fs::read(path).unwrap();
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            models.push(String::from_utf8(bytes[8..8 + length].to_vec()).unwrap());
        }
    }
    for text in later::TEXTS {
        assert!(literals.contains(*text) || models.iter().any(|head| head.contains(text)), "{text}");
    }
}

/// A text with all its places alike, whether they are of a format or of a translation.
fn without_names(text: &str) -> String {
    let mut bare = String::new();
    for (i, part) in text.replace("%{", "{").split('{').enumerate() {
        match part.split_once('}') {
            Some((_, rest)) if i > 0 => bare += &format!("{{}}{rest}"),
            _ => bare += part,
        }
    }
    bare
}

/// Texts in the attributes that make errors of enums.
fn errors(stream: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        errors(group.stream(), found);
        let is_error = at > 0 && tokens[at - 1].to_string() == "error" && group.delimiter() == Delimiter::Parenthesis;
        if is_error {
            found.extend(group.stream().into_iter().next().as_ref().and_then(text));
        }
    }
}

/// What a window never says.
const OF_THE_COMMAND_LINE: &[&str] = &[
    "no such network: {}",
    "no graphics interface called \"{}\"; DUALRES_GRAPHICS is one of: {}",
    "images to compare differ in size: {}x{} and {}x{}",
    "the image is too small to measure: {}x{} after removing {} pixels per side",
];

#[test]
fn messages_of_other_rooms_are_the_templates() {
    let (mut literals, mut made) = (BTreeSet::new(), BTreeSet::new());
    for file in &files(&source().join("..")) {
        if file.parent().is_none_or(|folder| !folder.ends_with("language")) {
            walk(tokens(file), file, &mut Vec::new(), &mut literals);
            errors(tokens(file), &mut made);
        }
    }
    let literals: BTreeSet<String> = literals.iter().map(|text| without_names(text)).collect();
    for text in TEMPLATES.iter().filter(|text| !text.contains("(os error ")) {
        assert!(literals.contains(&without_names(text)), "nobody says: {text}");
    }
    let of_window: Vec<String> = calls().0.into_iter().flat_map(|call| call.texts).collect();
    let mut known: BTreeSet<String> = later::TEXTS.iter().chain(TEMPLATES).map(|text| without_names(text)).collect();
    known.extend(of_window.iter().map(|text| without_names(text)));
    assert!(made.len() > 50, "{made:#?}");
    for message in made.iter().map(|text| without_names(text)) {
        let says_something = message.replace("{}", "").contains(char::is_alphabetic);
        let is_known = known.contains(&message) || OF_THE_COMMAND_LINE.contains(&&*message);
        assert!(is_known || !says_something, "not translated: {message}");
    }
}

#[test]
fn messages_are_translated_with_what_they_name() {
    let german = |text: &str| in_language(text, German);
    let held: BTreeMap<String, String> =
        toml::from_str(&std::fs::read_to_string(source().join("locales/de.toml")).unwrap()).unwrap();
    // A reason within a message is translated too, a path never, though it may be a word that has a translation.
    let reason = "the file is empty";
    assert!(held.contains_key("Window") && held[reason] != reason);
    let expected = held["damaged or unsupported image (%{reason}): %{path}"]
        .replace("%{reason}", &held[reason])
        .replace("%{path}", "Window");
    assert_eq!(german("damaged or unsupported image (the file is empty): Window"), expected);
    // What is named twice, numbers in the language's way, and messages about messages.
    let small = german("10x20 is smaller than a patch (48x48)");
    assert!(small.contains("10x20") && small.contains("48x48") && !small.contains("smaller"), "{small}");
    assert!(german("a result, reduced again, has 41.5 dB against the picture").contains("41,5 dB"));
    let chain = german("cannot load the model: cannot read the model (Permission denied (os error 13)): a.safetensors");
    let denied = &held["Permission denied (os error 13)"];
    assert!(chain.contains(denied) && !chain.contains("cannot") && chain.ends_with("a.safetensors"), "{chain}");
    // What nobody knows stays, and every template is one.
    assert_eq!(german("zap: the flux is (odd)"), "zap: the flux is (odd)");
    for language in Language::ALL.into_iter().skip(1) {
        for template in TEMPLATES.iter().filter(|template| template.contains("%{")) {
            let said = places(template)
                .iter()
                .fold((*template).to_owned(), |text, name| text.replace(&format!("%{{{name}}}"), &format!("<{name}>")));
            let translated = in_language(&said, language);
            assert!(translated != said, "{}: {said}", language.code());
            for name in places(template) {
                assert!(translated.contains(&format!("<{name}>")), "{}: {translated}", language.code());
            }
        }
    }
}
