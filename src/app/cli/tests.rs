//! Whether what help and pages tell people to type is understood.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use clap::CommandFactory;

use super::{Cli, understood};

/// The words of a command as a shell takes them, up to a comment, a pipe or what it writes into a file. None for what is no command of
/// this program.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for sign in line.trim().chars() {
        match (quote, sign) {
            (Some(open), _) if sign == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(sign);
                word.get_or_insert_default();
            }
            (None, '#' | '>' | '|' | '&') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(sign),
        }
    }
    words.extend(word);
    // Variables may stand before it.
    let at = words.iter().position(|word| !word.contains('='))?;
    (words[at] == "dualres").then(|| words.split_off(at))
}

fn check(line: &str, place: &str) -> bool {
    let Some(words) = words(line) else { return false };
    if let Err(error) = understood(words.into_iter().map(Into::into)) {
        panic!("{place}: {line}\n{error}");
    }
    true
}

#[test]
fn commands_of_pages_are_understood() {
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(project.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.extend(
        ["README.md", "models/README.md", "models/COMPRESSION.md", "models/RESULTS.md"].map(|page| project.join(page)),
    );
    let mut count = 0;
    for page in pages {
        let (text, place) = (std::fs::read_to_string(&page).unwrap(), page.display().to_string());
        let mut fenced = false;
        for line in text.replace("\\\n", "").lines() {
            if line.starts_with("```") {
                fenced = line.starts_with("```sh");
            } else if fenced {
                count += usize::from(check(line, &place));
            }
        }
    }
    assert!(count > 30, "{count} commands");
}

#[test]
fn examples_of_help_are_understood() {
    fn walk(command: &clap::Command, count: &mut usize) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        // What they do stands in a column of its own.
        let examples = help.lines().filter_map(|line| line.trim().split("   ").next());
        *count += examples.filter(|line| check(line, command.get_name())).count();
        command.get_subcommands().for_each(|below| walk(below, count));
    }
    let mut count = 0;
    walk(&Cli::command(), &mut count);
    assert!(count > 40, "{count} examples");
}

#[test]
fn commands_are_taken_apart_as_a_shell_does() {
    assert_eq!(words("A=1 dualres \"a b\" c # d").unwrap(), ["dualres", "a b", "c"]);
    assert_eq!(words("dualres batch jobs a > b").unwrap(), ["dualres", "batch", "jobs", "a"]);
    assert_eq!(words("cargo test"), None);
}
