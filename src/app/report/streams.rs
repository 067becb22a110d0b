//! Standard output and standard error. What cannot be said must not cost any work: nothing here panics, and a stream that
//! fails is told of once, on the other one.

use std::{
    borrow::Cow,
    io::{ErrorKind, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::interrupt;

/// Whether what is said on standard output is JSON.
static JSON: AtomicBool = AtomicBool::new(false);
static OUTPUT: Stream = Stream { name: "standard output", gone: AtomicBool::new(false) };
static ERRORS: Stream = Stream { name: "standard error", gone: AtomicBool::new(false) };

struct Stream {
    name: &'static str,
    /// Nothing is written any more: it has failed, or its reader has gone.
    gone: AtomicBool,
}

/// What came of a line.
enum Said {
    Yes,
    /// Nobody reads the stream any more.
    NoReader,
    /// It failed, now for the first time; with the reason in words.
    Failed(String),
    /// It has failed before.
    Gone,
}

impl Stream {
    fn write(&self, mut to: impl Write, text: &str) -> Said {
        if self.gone.load(Ordering::Relaxed) {
            return Said::Gone;
        }
        match writeln!(to, "{text}").and_then(|()| to.flush()) {
            Ok(()) => Said::Yes,
            Err(error) => {
                if self.gone.swap(true, Ordering::Relaxed) {
                    Said::Gone
                } else if error.kind() == ErrorKind::BrokenPipe {
                    Said::NoReader
                } else {
                    Said::Failed(format!("cannot write to {} ({error}); continuing", self.name))
                }
            }
        }
    }
}

/// Standard output speaks JSON from now on.
pub(crate) fn speaks_json(json: bool) {
    JSON.store(json, Ordering::Relaxed);
}

/// Whether standard output failed for another reason than that its reader has gone: the command has not said what it was to say.
pub(crate) fn has_failed() -> bool {
    OUTPUT.gone.load(Ordering::Relaxed) && !interrupt::flow().is_break()
}

/// Prints a line to standard output, without what terminals obey. A reader that has gone wants no more: the work ends as with Ctrl-C, and nothing is said.
pub(crate) fn line(text: &str) {
    let text = if JSON.load(Ordering::Relaxed) { escaped(text) } else { one_line(text) };
    match OUTPUT.write(std::io::stdout().lock(), &text) {
        Said::Yes | Said::Gone => {}
        Said::NoReader => drop(interrupt::stop()),
        Said::Failed(reason) => drop(ERRORS.write(std::io::stderr().lock(), &format!("error: {reason}"))),
    }
}

/// Prints one line to standard error: warnings, errors, how far it is.
pub(crate) fn say(text: &str) {
    match ERRORS.write(std::io::stderr().lock(), &one_line(text)) {
        Said::Yes | Said::Gone | Said::NoReader => {}
        Said::Failed(reason) => {
            let told = match JSON.load(Ordering::Relaxed) {
                true => serde_json::json!({ "warning": reason }).to_string(),
                false => format!("warning: {reason}"),
            };
            let _ = OUTPUT.write(std::io::stdout().lock(), &told);
        }
    }
}

/// JSON without what terminals obey; what is left of that lies within strings, where it can be escaped.
fn escaped(json: &str) -> Cow<'_, str> {
    if !json.contains(is_obeyed) {
        return json.into();
    }
    let escape = |c: char| if is_obeyed(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    json.chars().map(escape).collect::<String>().into()
}

/// Whether terminals do something at a character; also what turns the direction of writing, which makes names look like others.
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text in one line, without what terminals obey: names of files may hold anything.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return text.into();
    }
    let mut said = String::new();
    for c in text.chars() {
        match c {
            // Texts of libraries come in several lines.
            '\n' | '\r' | '\t' => said.push(' '),
            c if is_obeyed(c) => said.extend(c.escape_unicode()),
            c => said.push(c),
        }
    }
    said.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_command_the_terminal() {
        assert_eq!(one_line("a\u{1b}[31mb\nc\r\u{7}"), "a\\u{1b}[31mb c \\u{7}");
        assert_eq!(one_line("gpj.\u{202e}evil"), "gpj.\\u{202e}evil");
        let json = escaped("{\"input\":\"gpj.\u{202e}evil\u{7f}\"}").into_owned();
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(json.is_ascii() && back["input"] == "gpj.\u{202e}evil\u{7f}");
        assert!(matches!(one_line("日本 ä"), Cow::Borrowed(_)));
    }
}
