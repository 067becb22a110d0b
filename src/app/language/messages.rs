//! Texts that come in English from elsewhere, such as errors of the libraries, in the language that is spoken.

use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use regex::Regex;

use super::{English, Language, spoken, templates::TEMPLATES};

/// A message with places for what it names.
struct Template {
    text: &'static str,
    pattern: Regex,
}

impl Template {
    /// None if the text has no places.
    fn of(text: &'static str) -> Option<Self> {
        let mut parts = text.split("%{");
        let mut pattern = format!("(?s)^{}", regex::escape(parts.next()?));
        for part in parts {
            let (name, literal) = part.split_once('}')?;
            // What is named twice is read once.
            let group = Some(format!("(?<{name}>.+?)")).filter(|group| !pattern.contains(group));
            pattern += &format!("{}{}", group.as_deref().unwrap_or(".+?"), regex::escape(literal));
        }
        text.contains("%{").then_some(())?;
        Some(Self { text, pattern: Regex::new(&(pattern + "$")).ok()? })
    }

    /// How much of it stands fast: what says more is tried first.
    fn weight(&self) -> usize {
        self.text.split("%{").map(|part| part.split_once('}').map_or(part, |(_, literal)| literal).len()).sum()
    }

    /// The message in a language, if it is one of these.
    fn translated(&self, message: &str, language: Language) -> Option<String> {
        let found = self.pattern.captures(message)?;
        let mut text = looked_up(self.text, language)?;
        for name in self.pattern.capture_names().flatten() {
            let value = found.name(name)?.as_str();
            // Paths are names of somebody's, whatever words they are.
            let value =
                if name == "path" || name == "folders" { value.to_owned() } else { in_language(value, language) };
            text = text.replace(&format!("%{{{name}}}"), &value);
        }
        Some(text)
    }
}

fn templates() -> &'static [Template] {
    static ALL: OnceLock<Vec<Template>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Vec<Template> = TEMPLATES.iter().filter_map(|text| Template::of(text)).collect();
        all.sort_by_key(|template| std::cmp::Reverse(template.weight()));
        all
    })
}

/// The translation of a text, if there is one that differs from it.
fn looked_up(text: &str, language: Language) -> Option<String> {
    Some(rust_i18n::t!(text, locale = language.code()).into_owned()).filter(|found| found != text)
}

/// The text of something that is known when the program runs only, such as what a model is for or why something failed; itself where
/// there is no other. Messages are known by their template, and of "what failed: why" each part is.
pub(crate) fn translated(text: &str) -> String {
    /// Some texts are drawn sixty times a second.
    static KNOWN: Mutex<BTreeMap<(&'static str, String), String>> = Mutex::new(BTreeMap::new());
    const MAX_KNOWN: usize = 1000;
    let language = spoken();
    if language == English {
        return text.to_owned();
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() > MAX_KNOWN {
        known.clear();
    }
    known.entry((language.code(), text.to_owned())).or_insert_with(|| in_language(text, language)).clone()
}

pub(super) fn in_language(text: &str, language: Language) -> String {
    if language == English || text.is_empty() {
        return text.to_owned();
    }
    if let Some(found) = looked_up(text, language) {
        return found;
    }
    if text.parse::<f64>().is_ok() {
        return if language.has_decimal_comma() { text.replace('.', ",") } else { text.to_owned() };
    }
    if let Some(found) = templates().iter().find_map(|template| template.translated(text, language)) {
        return found;
    }
    // What went wrong; the way out.
    if let Some((head, tail)) = text.rsplit_once("; ")
        && let Some(tail) = looked_up(tail, language)
    {
        return format!("{}; {tail}", in_language(head, language));
    }
    for (at, mark) in text.match_indices(": ") {
        let (head, tail) = (&text[..at], &text[at + mark.len()..]);
        if let Some(head) = looked_up(head, language) {
            return head + mark + &in_language(tail, language);
        }
        // Of "photo.png: why" the sentence is.
        let translated = if tail.contains(' ') { in_language(tail, language) } else { tail.to_owned() };
        if translated != tail {
            return format!("{head}{mark}{translated}");
        }
    }
    text.to_owned()
}
