//! The window in every language: what is said, how numbers are written, and whether it fits into a small window.
//!
//! Pictures of it are made for people to look at: `DUALRES_SCREENSHOTS=FOLDER cargo test --release --workspace --test
//! window_languages`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use common::{COMMAND, Deeds, NO_KEYS, device, home_with_tiny_model, may_skip};
use dualres_app::{
    language::Language,
    window::{Window, settings::Settings, worker},
};
use eframe::egui::{Key, accesskit::Role};
use egui_kittest::{Harness, kittest::NodeT, kittest::Queryable};

/// What is spoken is spoken by the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A small window that was told to speak a language. Its worker says nothing by itself.
fn speaking(home: &Path, language: Language, drawn: bool) -> (Harness<'static, Window>, worker::FarEnd) {
    let paths = home_with_tiny_model(home);
    let file = paths.config.join("settings.json");
    let mut settings: Settings = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    settings.language = Some(language);
    std::fs::write(file, serde_json::to_vec(&settings).unwrap()).unwrap();
    let (setup, ends) = common::played(&paths);
    // What is scrolled away lies below other things: where controls are looked for, there is room for all.
    let height = if drawn { 640.0 } else { 1600.0 };
    let builder = Harness::builder().with_size([1024.0, height]).with_max_steps(3);
    let builder = if drawn { builder.wgpu() } else { builder };
    let mut harness = builder.build_eframe(|cc| Window::new(cc, setup).unwrap());
    harness.run_steps(6);
    (harness, ends.recv().unwrap())
}

/// Whether there are letters for a language; those without are left out, if they may be.
fn can_be_written(harness: &Harness<'static, Window>, language: Language) -> bool {
    if !harness.sees("No font of this system") {
        return true;
    }
    assert!(harness.sees(language.latin_name()), "the sentence names the language in Latin letters");
    assert!(harness.sees("Open…"), "the window speaks English");
    assert!(
        std::env::var_os("DUALRES_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
        "DUALRES_REQUIRE_TOOLS=1, but there is no font for {language:?}"
    );
    eprintln!("not tested: there is no font for {language:?}");
    false
}

/// Controls that stick out of the window, or lie on each other.
fn misfits(harness: &Harness<'static, Window>) -> Vec<String> {
    let window = harness.ctx.content_rect();
    let is_control = |role| {
        matches!(
            role,
            Role::Button | Role::ComboBox | Role::CheckBox | Role::RadioButton | Role::Slider | Role::SpinButton
        )
    };
    let nodes: Vec<_> = harness
        .query_all_by(|node| is_control(node.role()) || node.role() == Role::Label)
        .map(|node| {
            let text = node.accesskit_node().label().or_else(|| node.accesskit_node().value()).unwrap_or_default();
            (is_control(node.accesskit_node().role()), text, node.rect())
        })
        .filter(|(_, _, rect)| rect.top() < window.bottom() && rect.bottom() > window.top() && rect.area() > 0.0)
        .collect();
    let mut found = Vec::new();
    for (at, (is_control, text, rect)) in nodes.iter().enumerate() {
        if rect.left() < window.left() - 1.0 || rect.right() > window.right() + 1.0 {
            found.push(format!("{text:?} at {rect:?} sticks out"));
        }
        for (other_is_control, other, its) in &nodes[..at] {
            let both = rect.intersect(*its);
            // Cards and rows have controls of their own.
            let is_part = rect.expand(3.0).contains_rect(*its) || its.expand(3.0).contains_rect(*rect);
            if *is_control && *other_is_control && both.width() > 2.0 && both.height() > 2.0 && !is_part {
                found.push(format!("{text:?} at {rect:?} lies on {other:?} at {its:?}"));
            }
        }
    }
    found
}

#[test]
fn every_language_fits_a_small_window() {
    let _turn = alone();
    let pictures = std::env::var_os("DUALRES_SCREENSHOTS").map(std::path::PathBuf::from);
    let drawn = pictures.is_some();
    if drawn && device().is_none() && may_skip("there is no graphics adapter") {
        return;
    }
    for language in Language::ALL {
        let home = tempfile::tempdir().unwrap();
        let (mut harness, _far) = speaking(home.path(), language, drawn);
        if !can_be_written(&harness, language) {
            continue;
        }
        let photo = home.path().join("photo.png");
        common::write_picture(&photo, 120, 90);
        let look = |harness: &mut Harness<'static, Window>, what: &str| {
            harness.run_steps(3);
            if let Some(folder) = &pictures {
                let path = folder.join(format!("{}-{what}.png", language.code()));
                harness.render().unwrap().save(path).unwrap();
            }
            let found = if pictures.is_none() { misfits(harness) } else { Vec::new() };
            assert!(found.is_empty(), "{language:?}, {what}: {found:#?}");
        };
        look(&mut harness, "empty");
        harness.drop_files(&[&photo]);
        harness.await_that("the picture", |harness| harness.sees("photo.png"));
        harness.run_steps(20);
        for (key, what) in [(Key::Num1, "panes"), (Key::Num4, "difference"), (Key::Num6, "error")] {
            harness.key(NO_KEYS, key);
            look(&mut harness, what);
        }
        harness.key(COMMAND, Key::Num3);
        look(&mut harness, "models");
        harness.key(COMMAND, Key::Num2);
        look(&mut harness, "compress");
        harness.key(NO_KEYS, Key::F1);
        look(&mut harness, "keys");
    }
}

/// The smallest window, on screens of one to three pixels a point.
#[test]
fn nothing_overlaps_in_the_smallest_window() {
    let _turn = alone();
    for pixels in [1.0, 2.0, 3.0] {
        let home = tempfile::tempdir().unwrap();
        let paths = home_with_tiny_model(home.path());
        let (setup, ends) = common::played(&paths);
        let builder = Harness::builder().with_size([900.0, 560.0]).with_pixels_per_point(pixels).with_max_steps(3);
        let mut harness = builder.build_eframe(|cc| Window::new(cc, setup).unwrap());
        harness.run_steps(6);
        let _far = ends.recv().unwrap();
        let photo = home.path().join("photo.png");
        common::write_picture(&photo, 120, 90);
        harness.drop_files(&[&photo]);
        harness.await_that("the picture", |harness| harness.sees("photo.png"));
        harness.run_steps(20);
        let look = |harness: &mut Harness<'static, Window>, what: &str| {
            harness.run_steps(3);
            // What is scrolled away below the panel lies under its footer.
            let found: Vec<String> = misfits(harness).into_iter().filter(|text| !text.contains("lies on")).collect();
            assert!(found.is_empty(), "{what} at {pixels}: {found:#?}");
        };
        for (key, what) in [(Key::Num1, "panes"), (Key::Num2, "split"), (Key::Num4, "difference")] {
            harness.key(NO_KEYS, key);
            look(&mut harness, what);
        }
        for (key, what) in [(Key::Num3, "models"), (Key::Num2, "compress")] {
            harness.key(COMMAND, key);
            look(&mut harness, what);
        }
    }
}

#[test]
fn another_language_is_spoken_without_a_restart() {
    let _turn = alone();
    let home = tempfile::tempdir().unwrap();
    let (mut harness, _far) = speaking(home.path(), Language::English, false);
    let choose = |harness: &mut Harness<'static, Window>, menu: &str, language: Language| {
        harness.press(menu);
        harness.get_by_role_and_label(Role::RadioButton, language.name()).click();
        harness.run_steps(6);
        harness.key(NO_KEYS, Key::Escape);
    };
    assert!(harness.sees("Open…"));
    choose(&mut harness, "Theme and language", Language::German);
    assert!(harness.sees("Öffnen…") && !harness.sees("Open…"), "German");
    // Escape has closed the menu: its choices are gone.
    let choices = |harness: &Harness<'static, Window>| harness.query_all_by_role(Role::RadioButton).count();
    let closed = choices(&harness);
    harness.press("Design und Sprache");
    assert!(choices(&harness) > closed);
    harness.key(NO_KEYS, Key::Escape);
    harness.run_steps(3);
    assert_eq!(choices(&harness), closed);
    choose(&mut harness, "Design und Sprache", Language::French);
    assert!(harness.sees("Ouvrir…") && !harness.sees("Öffnen…"), "French");
}
