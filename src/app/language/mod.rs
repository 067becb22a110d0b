//! The language of the window: what its texts are in it, and how it writes numbers. The command line speaks English.
//!
//! Texts stand in the code in English, in [`tr`]; a file of `locales` holds each other language's by them.

#[cfg(test)]
mod later;
mod messages;
mod templates;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

/// The text of the window in the language that is spoken, as a [`String`]: `tr!("%{name} is done", name = item.name())`.
macro_rules! tr {
    ($($text:tt)*) => {
        ::rust_i18n::t!($($text)*).into_owned()
    };
}

/// The one or the other text, by a number that both may name as `%{count}`: `tr_counted!(3, "%{count} picture", "%{count} pictures")`.
macro_rules! tr_counted {
    ($count:expr, $one:literal, $many:literal $(, $name:ident = $value:expr)* $(,)?) => {{
        let count: usize = $count;
        match $crate::language::is_one(count) {
            true => $crate::language::tr!($one, count = count $(, $name = $value)*),
            false => $crate::language::tr!($many, count = count $(, $name = $value)*),
        }
    }};
}

pub(crate) use messages::translated;
pub(crate) use {tr, tr_counted};

/// A language of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
    /// Japanese.
    Japanese,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Portuguese as in Brazil.
    Portuguese,
}

use Language::{Chinese, English, French, German, Japanese, Portuguese, Spanish};

static SPOKEN: AtomicUsize = AtomicUsize::new(0);

impl Language {
    /// All there are, the first being the one the texts are written in.
    pub const ALL: [Self; 7] = [English, German, Spanish, French, Portuguese, Chinese, Japanese];

    /// What those who speak it call it.
    pub fn name(self) -> &'static str {
        match self {
            English => "English",
            Chinese => "简体中文",
            Japanese => "日本語",
            German => "Deutsch",
            French => "Français",
            Spanish => "Español",
            Portuguese => "Português",
        }
    }

    /// Its name in Latin letters, for systems that have no others.
    pub fn latin_name(self) -> &'static str {
        match self {
            Chinese => "Jianti Zhongwen (Chinese)",
            Japanese => "Nihongo (Japanese)",
            other => other.name(),
        }
    }

    /// The code that names its file of texts.
    pub fn code(self) -> &'static str {
        match self {
            English => "en",
            Chinese => "zh-CN",
            Japanese => "ja",
            German => "de",
            French => "fr",
            Spanish => "es",
            Portuguese => "pt",
        }
    }

    /// The language of a tag such as `de-AT` or `zh_CN.UTF-8`, if the window speaks it. Traditional Chinese is another language.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let tag = tag.to_lowercase().replace('_', "-");
        let mut parts = tag.split(['-', '.', '@']);
        let language = parts.next()?;
        let is_traditional = parts.any(|part| matches!(part, "hant" | "tw" | "hk" | "mo"));
        match language {
            "zh" if is_traditional => None,
            "zh" => Some(Chinese),
            code => Self::ALL.into_iter().find(|known| known.code() == code),
        }
    }

    /// The first that the system asks for and the window speaks, else English.
    pub fn of_system() -> Self {
        sys_locale::get_locales().find_map(|tag| Self::of_tag(&tag)).unwrap_or(English)
    }

    /// A letter that only fonts for this language have, if Latin ones do not do.
    pub fn proof_of_font(self) -> Option<char> {
        match self {
            Chinese => Some('简'),
            Japanese => Some('の'),
            _ => None,
        }
    }

    fn has_decimal_comma(self) -> bool {
        matches!(self, German | French | Spanish | Portuguese)
    }
}

/// Has the texts of the whole program in a language from now on.
pub(crate) fn speak(language: Language) {
    let index = Language::ALL.iter().position(|known| *known == language).unwrap_or(0);
    SPOKEN.store(index, Ordering::Relaxed);
    rust_i18n::set_locale(language.code());
}

/// The language that is spoken.
pub(crate) fn spoken() -> Language {
    Language::ALL[SPOKEN.load(Ordering::Relaxed)]
}

/// Whether so many things are spoken of as one is. Languages that make no difference have one text for both.
pub(crate) fn is_one(count: usize) -> bool {
    match spoken() {
        French | Portuguese => count <= 1,
        _ => count == 1,
    }
}

/// A number with so many decimal places, as the language writes it.
pub(crate) fn number(value: impl Into<f64>, decimals: usize) -> String {
    written(format!("{:.decimals$}", value.into()))
}

/// A number in digits, as the language writes it.
pub(crate) fn written(digits: String) -> String {
    if spoken().has_decimal_comma() { digits.replace('.', ",") } else { digits }
}

/// A whole number, its digits in groups: 195,878.
pub(crate) fn grouped(number: u64) -> String {
    let mark = match spoken() {
        German | Spanish | Portuguese => ".",
        French => "\u{202f}",
        English | Chinese | Japanese => ",",
    };
    let digits = number.to_string();
    let (head, tail) = digits.split_at(digits.len() % 3);
    let tail = (0..tail.len() / 3).map(|i| &tail[i * 3..i * 3 + 3]);
    (!head.is_empty()).then_some(head).into_iter().chain(tail).collect::<Vec<_>>().join(mark)
}

/// The number that somebody has typed, by the decimal comma of the language or a point.
pub(crate) fn parsed(typed: &str) -> Option<f64> {
    typed.trim().replace(',', ".").parse().ok()
}
