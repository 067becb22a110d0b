//! The program on a desktop: a real X server, real keys, a real drop of a file from another program.
//!
//! The screenshots of the README are made here: `DUALRES_SCREENSHOTS=$PWD/assets/screenshots cargo test --release
//! --workspace --test desktop`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;
mod user;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use server::{Program, Server};
use user::User;

fn project(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(180), "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn file_says(path: &Path, text: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|content| content.contains(text))
}

#[test]
fn a_photographer_drops_a_picture_and_gets_the_bytes_of_the_command_line() {
    let Some(server) = Server::start("1280x800x24") else { return };
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let photos = folder.path().join("my photos");
    std::fs::create_dir_all(&photos).unwrap();
    let photo = photos.join("chelsea & co.png");
    std::fs::copy(project("assets/samples/chelsea.png"), &photo).unwrap();
    let second = photos.join("rocket.jpg");
    std::fs::copy(project("assets/samples/rocket.jpg"), &second).unwrap();
    let mut program = Program::start(&server, &home, &[]);
    let mut user = User::at(&server, "Dualres");
    user.settle();
    user.screenshot("empty");

    // The drop, with a look at the window while the file is held over it.
    user.drag_over(&[&photo, &second]);
    user.settle();
    user.screenshot("drop");
    user.let_go();
    let queue = home.join("config/queue.json");
    wait_for("the queue with the dropped file", || {
        file_says(&queue, "chelsea & co.png") && file_says(&queue, "rocket.jpg")
    });

    // What the network makes of what is visible, and what two networks do.
    user.focus();
    user.settle();
    user.screenshot("preview");
    let before = user.look();
    user.keys(&["c"]);
    wait_for("the comparison of models", || user.look() != before);
    user.settle();
    let compared = user.screenshot("compare-models");
    assert!(user::colours(&compared) > 500, "pictures are compared");
    user.keys(&["Escape"]);
    user.settle();

    user.keys(&["Control_L", "Return"]);
    let result = photos.join("chelsea & co_x2.png");
    wait_for("the result", || result.exists() && photos.join("rocket_x2.jpg").exists());
    wait_for("the queue with the result", || file_says(&queue, "rocket_x2.jpg"));

    // The same bytes as the command line's.
    let expected = folder.path().join("expected.png");
    let run = Command::new(env!("CARGO_BIN_EXE_dualres"))
        .args(["upscale", "--model", "x2", "--device", "cpu", "-o"])
        .args([&expected, &photo])
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    assert!(std::fs::read(&result).unwrap() == std::fs::read(&expected).unwrap(), "window and command line differ");

    // Every view, and that it is another picture than the one before.
    user.keys(&["Prior"]);
    // The message that the queue is done would lie over the pictures.
    user.keys(&["Escape"]);
    user.settle();
    let views =
        [("1", "side-by-side"), ("2", "split"), ("3", "result"), ("4", "difference"), ("5", "overlay"), ("6", "doubt")];
    let mut pictures = Vec::new();
    for (key, name) in views {
        let before = user.look();
        user.keys(&[key]);
        // A software driver compiles what a view is drawn with when it is first drawn.
        wait_for(&format!("the view {name}"), || key == "1" || user.look() != before);
        user.settle();
        pictures.push(user.screenshot(name));
    }
    for (index, picture) in pictures.iter().enumerate() {
        assert!(user::colours(picture) > 500, "{}: hardly a colour", views[index].1);
        for other in &pictures[..index] {
            assert!(picture != other, "{} shows what another view shows", views[index].1);
        }
    }
    user.keys(&["1"]);
    user.keys(&["Control_L", "3"]);
    user.settle();
    user.screenshot("models");
    user.keys(&["F1"]);
    user.settle();
    user.screenshot("keys");
    user.keys(&["Escape"]);
    user.keys(&["Control_L", "1"]);
    user.keys(&["Control_L", "t"]);
    user.settle();
    user.screenshot("light");
    user.keys(&["Control_L", "t"]);
    user.settle();

    user.keys(&["Control_L", "q"]);
    wait_for("the end of the program", || program.has_ended());
    assert!(program.succeeded(), "the program ends well");

    // A second start brings back what there was, in a small window as well.
    drop(user);
    let mut program = Program::start(&server, &home, &[]);
    let mut user = User::at(&server, "Dualres");
    user.resize(1024, 640);
    user.settle();
    let small = user.screenshot("small");
    assert!(user::colours(&small) > 500, "the picture is back");
    user.focus();
    user.keys(&["Control_L", "q"]);
    wait_for("the end of the program", || program.has_ended());
}

/// The first look in other languages, whose letters are in fonts of the system.
#[test]
fn a_photo_is_opened_in_german_and_in_chinese() {
    let Some(server) = Server::start("1280x800x24") else { return };
    let mut pictures = Vec::new();
    for language in ["german", "chinese"] {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir_all(home.join("config")).unwrap();
        std::fs::write(home.join("config/settings.json"), format!("{{\"language\": \"{language}\"}}")).unwrap();
        let photo = folder.path().join("rocket.jpg");
        std::fs::copy(project("assets/samples/rocket.jpg"), &photo).unwrap();
        let mut program = Program::start(&server, &home, &[photo]);
        let mut user = User::at(&server, "Dualres");
        wait_for("the photo", || user::colours(&user.look()) > 500);
        user.settle();
        pictures.push(user.screenshot(language));
        user.focus();
        user.keys(&["Control_L", "q"]);
        wait_for("the end of the program", || program.has_ended());
    }
    assert!(pictures[0] != pictures[1]);
}

#[test]
fn a_researcher_compresses_a_network_and_watches_it() {
    let Some(server) = Server::start("1440x900x24") else { return };
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let mut program = Program::start(&server, &home, &[]);
    let mut user = User::at(&server, "Dualres");
    user.resize(1440, 900);
    user.settle();
    user.keys(&["Control_L", "2"]);
    user.settle();
    user.keys(&["l"]);
    // The sensitivity profile, then the network for half the budget on the picture.
    let profiles = home.join("data/compress/profiles");
    let is_table = |path: &Path| {
        let name = path.to_string_lossy();
        name.ends_with(".csv") && !name.ends_with(".events.csv")
    };
    wait_for("the table of the sensitivity profile", || {
        std::fs::read_dir(&profiles).is_ok_and(|list| list.flatten().any(|entry| is_table(&entry.path())))
    });
    wait_for("the picture by both networks", || user::colours(&user.look()) > 2000);
    user.settle();
    let steered = user.screenshot("compress-picture");

    // A quick look, to the end.
    user.focus();
    user.keys(&["Control_L", "Return"]);
    let run = home.join("data/compress/runs/x2-50-drc");
    wait_for("the search", || file_says(&run.join("events.csv"), "search,12,"));
    user.screenshot("compress-running");
    wait_for("the end of the run", || run.join("report.json").exists());
    wait_for("its times", || run.join("latency.json").exists());
    user.settle();
    let curves = user.screenshot("compress-curves");
    assert!(curves != steered && user::colours(&curves) > 50);

    // The plots as a picture. No file portal answers here, so the path is typed; the name that is offered will do.
    user.click(1118, 58);
    let picture = home.join("pictures/curves.png");
    std::fs::create_dir_all(home.join("pictures")).unwrap();
    user.settle();
    user.keys(&["Return"]);
    wait_for("the picture of the plots", || picture.exists());
    let plots = dualres_imaging::read(&picture).unwrap();
    assert!(plots.width() > 500 && plots.height() > 500, "{} x {}", plots.width(), plots.height());

    user.keys(&["n"]);
    user.settle();
    let runs = user.screenshot("compress-runs");
    assert!(runs != curves);
    user.keys(&["n"]);
    user.settle();
    user.screenshot("compress-judge");
    user.keys(&["Control_L", "q"]);
    wait_for("the end of the program", || program.has_ended());
    assert!(program.succeeded(), "the program ends well");
}
