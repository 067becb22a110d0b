//! What README and the pages of `docs` tell people to type, typed as printed: fences of `sh`, but for those marked `no-run`, which need
//! other machines, other files, hours or the checkout. That the `dualres` lines of these are understood too is tested beside the
//! command line.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use common::{project, write_picture};

/// The pages, README first.
fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(project("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    pages.sort();
    pages.insert(0, project("README.md"));
    pages
}

/// What stands in the fences of a page that are run.
fn script(page: &str) -> String {
    let mut script = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let fence: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        if info == "sh" {
            script += &(fence.join("\n") + "\n");
        }
    }
    script
}

/// A folder with what the pages speak of, of sizes that take seconds.
fn folder_of_somebody(at: &Path) {
    write_picture(&at.join("photo.jpg"), 90, 70);
    for (folder, count, side) in [("photos", 10, 96), ("holiday", 3, 40), ("train", 10, 96), ("val", 3, 96)] {
        std::fs::create_dir(at.join(folder)).unwrap();
        for number in 0..count {
            write_picture(&at.join(folder).join(format!("{number}.jpg")), side + number, side);
        }
    }
}

#[test]
fn commands_run_as_printed() {
    let program = Path::new(env!("CARGO_BIN_EXE_dualres")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut count = 0;
    for page in pages() {
        let script = script(&std::fs::read_to_string(&page).unwrap());
        if script.is_empty() {
            continue;
        }
        count += script.lines().count();
        let home = tempfile::tempdir().unwrap();
        folder_of_somebody(home.path());
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(home.path())
            .env("PATH", &path)
            .env("DUALRES_HOME", home.path().join("home"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}:\n{script}\n{said}", page.display());
    }
    assert!(count > 10, "{count} lines");
}

/// Links between the pages, and to pictures, lead somewhere.
#[test]
fn links_lead_somewhere() {
    let mut all = pages();
    all.extend(
        ["ARCHITECTURE.md", "CONTRIBUTING.md", "models/README.md", "models/RESULTS.md", "models/COMPRESSION.md"]
            .map(project),
    );
    let mut count = 0;
    for page in all {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") {
                continue;
            }
            count += 1;
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            let has = |heading: &str| {
                let words = heading.trim_start_matches('#').trim().to_lowercase();
                let kept: String =
                    words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect();
                kept.replace(' ', "-") == anchor
            };
            let is_there = || {
                let text = std::fs::read_to_string(&target).unwrap();
                text.lines().filter(|line| line.starts_with('#')).any(has)
            };
            assert!(anchor.is_empty() || is_there(), "{}: {link}", page.display());
        }
    }
    assert!(count > 60, "{count} links");
}
