//! The window with a worker that the test plays: what it asks for, and what it makes of the answers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{COMMAND, Deeds, NO_KEYS, home_with_tiny_model, with_played_worker, write_picture};
use dualres_app::window::{
    Window,
    queue::{Failure, Finished, ItemId, Proven, State},
    worker::{Command, DeviceInfo, FarEnd, Job, WorkerReport},
};
use eframe::egui::{Key, Modifiers, ViewportCommand, ViewportEvent, ViewportId, accesskit::Role};
use egui_kittest::{Harness, kittest::Queryable};

fn names(harness: &Harness<'static, Window>) -> Vec<String> {
    harness.state().queue().items().iter().map(|item| item.name()).collect()
}

/// The next job, past what does not matter here.
fn next_job(far: &FarEnd) -> Option<Job> {
    far.commands.try_iter().find_map(|command| if let Command::Upscale(job) = command { Some(job) } else { None })
}

fn three_pictures(home: &Path) -> [std::path::PathBuf; 3] {
    ["a.png", "b.png", "c.png"].map(|name| {
        let path = home.join(name);
        write_picture(&path, 24, 16);
        path
    })
}

fn done(item: ItemId, output: &Path) -> WorkerReport {
    let finished = Finished {
        output: output.to_owned(),
        size: [48, 32],
        model: "tiny".into(),
        device: "CPU".into(),
        fidelity: 0.0,
        seconds: 1.0,
        proven: Proven {
            loop_psnr: Some(45.25),
            dual_loss: Some(0.5),
            expected_psnr: Some(33.5),
            worst: None,
            misfit: None,
        },
    };
    WorkerReport::Done { item, finished, warning: None }
}

fn failed(item: ItemId, reason: &str, device_failed: bool) -> WorkerReport {
    let failure = Failure { reason: reason.to_owned(), lasts: false };
    WorkerReport::Failed { item, failure, device_failed }
}

#[test]
fn jobs_go_one_by_one_in_the_order_the_user_gave_them() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let files = three_pictures(home.path());
    let (mut harness, ends) = with_played_worker(&paths);
    let far = ends.recv().unwrap();
    harness.drop_files(&[&files[0], &files[1], &files[2]]);
    harness.await_sight("c.png: waiting");
    // The first is selected; Alt+Right moves it back.
    harness.key(Modifiers::ALT, Key::ArrowRight);
    assert_eq!(names(&harness), ["b.png", "a.png", "c.png"]);
    harness.press("Upscale 3 pictures");
    let first = next_job(&far).unwrap();
    assert_eq!(first.input, files[1]);
    assert!(next_job(&far).is_none(), "one at a time");

    // Progress is shown, pausing goes past the queue of commands.
    let stage = "tile 3 of 8".to_owned();
    far.reports.send(WorkerReport::Progress { item: first.item, stage, done: 0.4 }).unwrap();
    let title = ViewportCommand::Title("40 %, 2 waiting – Dualres".into());
    harness.await_that("the title", |h| commands(h).contains(&title));
    harness.await_sight("b.png: tile 3 of 8");
    harness.key(COMMAND, Key::P);
    assert!(far.control.is_paused());
    assert!(harness.sees("paused at 40 %"));
    harness.key(COMMAND, Key::P);
    assert!(!far.control.is_paused());

    far.reports.send(done(first.item, &home.path().join("b_tiny.png"))).unwrap();
    harness.await_sight("True to the original");
    let second = next_job(&far).unwrap();
    assert_eq!(second.input, files[0]);

    // A failure is told with its reason, and the rest goes on.
    far.reports.send(failed(second.item, "the disk is full", false)).unwrap();
    harness.await_sight("a.png: the disk is full");
    let third = next_job(&far).unwrap();
    assert_eq!(third.input, files[2]);

    // Cancelling reaches the worker and is shown when it has stopped.
    harness.press("Cancel c.png");
    assert!(far.control.is_cancelled(third.item));
    assert!(harness.sees("c.png: Cancelling…"), "it is heard at once");
    far.reports.send(WorkerReport::Cancelled { item: third.item }).unwrap();
    harness.await_sight("c.png: cancelled");
    // That ended the run, which is told although nothing was done last.
    assert!(harness.sees("1 picture done, 1 picture failed: see the queue."));

    // Retry runs the failed one again.
    harness.press("Retry a.png");
    assert_eq!(next_job(&far).unwrap().input, files[0]);
}

#[test]
fn one_message_tells_of_the_first_failure_and_the_end_of_how_many() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let files = three_pictures(home.path());
    let (mut harness, ends) = with_played_worker(&paths);
    let far = ends.recv().unwrap();
    harness.drop_files(&[&files[0], &files[1]]);
    harness.await_sight("b.png: waiting");
    harness.press("Upscale 2 pictures");
    for reason in ["it is too round", "it is too square"] {
        let item = next_job(&far).unwrap().item;
        far.reports.send(failed(item, reason, false)).unwrap();
        harness.await_sight(reason);
    }
    assert!(harness.sees("0 pictures done, 2 pictures failed: see the queue."));
    let said = |reason| harness.query_all_by_label_contains(reason).count();
    let (first, second) = (said("a.png: it is too round"), said("b.png: it is too square"));
    assert_eq!(first, second + 1, "the queue says both, a message the first");
}

#[test]
fn pictures_are_removed_and_the_selection_moves_on() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let files = three_pictures(home.path());
    let (mut harness, ends) = with_played_worker(&paths);
    let _far = ends.recv().unwrap();
    harness.drop_files(&[&files[0], &files[1], &files[2]]);
    harness.await_sight("c.png: waiting");
    harness.press("Remove b.png");
    assert_eq!(names(&harness), ["a.png", "c.png"]);
    harness.key(NO_KEYS, Key::Delete);
    assert_eq!(names(&harness), ["c.png"]);
    harness.key(NO_KEYS, Key::Delete);
    assert!(harness.sees("Drop photos here"));
    // A file that waits already is not added twice.
    harness.drop_files(&[&files[0], &files[0]]);
    harness.await_sight("a.png: waiting");
    harness.drop_files(&[&files[0]]);
    harness.run_steps(20);
    assert_eq!(names(&harness), ["a.png"]);
}

#[test]
fn a_failed_engine_is_restarted_and_the_queue_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let files = three_pictures(home.path());
    let (mut harness, ends) = with_played_worker(&paths);
    let far = ends.recv().unwrap();
    harness.drop_files(&[&files[0], &files[1]]);
    harness.await_sight("b.png: waiting");
    harness.press("Upscale 2 pictures");
    let job = next_job(&far).unwrap();
    far.reports.send(WorkerReport::Crashed { reason: "the device was lost".into() }).unwrap();
    drop(far);
    harness.await_sight("The engine failed");
    assert!(harness.sees("a.png: the engine failed: the device was lost"));
    harness.press("Restart engine");
    assert!(!harness.sees("The engine failed"));
    let far = ends.try_recv().expect("another engine was started");
    assert_eq!(harness.state().queue().waiting(), 1);
    assert!(matches!(harness.state().queue().get(job.item).unwrap().state, State::Failed(_)));
    harness.press("Upscale 1 picture");
    assert_eq!(next_job(&far).unwrap().input, files[1]);
}

#[test]
fn the_slider_asks_for_one_refinement_at_a_time_and_then_for_the_newest() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let files = three_pictures(home.path());
    let (mut harness, ends) = with_played_worker(&paths);
    let far = ends.recv().unwrap();
    harness.drop_files(&[&files[0]]);
    harness.await_sight("a.png: waiting");
    harness.press("Upscale 1 picture");
    let job = next_job(&far).unwrap();
    far.reports.send(done(job.item, &files[0])).unwrap();
    harness.await_that("the result", |h| matches!(h.state().queue().items()[0].state, State::Done(_)));
    for value in [20.0, 40.0, 80.0] {
        common::fidelity(&harness).set_value_accesskit(value);
        harness.run_steps(2);
    }
    let asked = |far: &FarEnd| -> Vec<(u64, f32)> {
        let refinements = far.commands.try_iter().filter_map(|command| match command {
            Command::Refine { number, fidelity, .. } => Some((number, fidelity)),
            _ => None,
        });
        refinements.collect()
    };
    let [(number, 0.2)] = asked(&far)[..] else { panic!("not one refinement") };
    let refined = WorkerReport::Refined {
        number,
        item: job.item,
        fidelity: 0.2,
        proven: Proven {
            loop_psnr: Some(50.0),
            dual_loss: Some(0.3),
            expected_psnr: Some(33.75),
            worst: None,
            misfit: None,
        },
    };
    far.reports.send(refined).unwrap();
    harness.await_sight("50.00 dB");
    assert!(harness.sees("33.75 dB"), "what is expected of it is told");
    harness.run_steps(2);
    let [(later, 0.8)] = asked(&far)[..] else { panic!("what was passed over is not computed") };

    // Nobody waits for an answer once another picture is looked at, or for a number that is not its own.
    let proven = Proven { loop_psnr: Some(70.0), dual_loss: Some(0.3), expected_psnr: None, worst: None, misfit: None };
    far.reports.send(WorkerReport::Refined { number, item: job.item, fidelity: 0.2, proven }).unwrap();
    harness.run_steps(3);
    assert!(!harness.sees("70.00 dB"));
    // What is back where it began is asked for again, not left as it was on the way.
    common::fidelity(&harness).set_value_accesskit(0.0);
    harness.run_steps(2);
    let proven = Proven { loop_psnr: Some(60.0), dual_loss: Some(0.3), expected_psnr: None, worst: None, misfit: None };
    far.reports.send(WorkerReport::Refined { number: later, item: job.item, fidelity: 0.8, proven }).unwrap();
    harness.await_that("the way back", |_| matches!(asked(&far)[..], [(_, 0.0)]));
}

/// The network's own result is gone by the time it is applied: it is made again, by the model that made it, and not asked for for ever.
/// What was there before is there again if that fails.
#[test]
fn what_is_applied_after_other_pictures_is_made_again() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let files = three_pictures(home.path());
    let (mut harness, ends) = with_played_worker(&paths);
    let far = ends.recv().unwrap();
    harness.drop_files(&[&files[0]]);
    harness.await_sight("a.png: waiting");
    harness.press("Upscale 1 picture");
    let job = next_job(&far).unwrap();
    let output = home.path().join("a_tiny.png");
    write_picture(&output, 48, 32);
    far.reports.send(done(job.item, &output)).unwrap();
    harness.await_sight("a.png: True to the original");
    common::fidelity(&harness).set_value_accesskit(50.0);
    harness.run_steps(3);
    let refines = |far: &FarEnd| {
        far.commands.try_iter().find_map(|c| if let Command::Refine { number, .. } = c { Some(number) } else { None })
    };
    let number = refines(&far).unwrap();
    let proven = Proven { loop_psnr: Some(50.0), dual_loss: Some(0.3), expected_psnr: None, worst: None, misfit: None };
    far.reports.send(WorkerReport::Refined { number, item: job.item, fidelity: 0.5, proven }).unwrap();
    harness.await_sight("50.00 dB");

    // Another model is chosen, and another picture brought meanwhile.
    harness.key(NO_KEYS, Key::M);
    harness.drop_files(&[&files[1]]);
    harness.await_sight("b.png: waiting");
    harness.key(NO_KEYS, Key::K);
    harness.press("Apply 50 %");
    let saves = |far: &FarEnd| far.commands.try_iter().any(|c| matches!(c, Command::SaveVersion { .. }));
    assert!(saves(&far));
    far.reports.send(WorkerReport::NotAtHand { item: job.item }).unwrap();
    let mut again = None;
    harness.await_that("another run", |_| {
        again = again.take().or_else(|| next_job(&far));
        again.is_some()
    });
    let again = again.unwrap();
    assert_eq!(
        (again.input.as_path(), again.choices.model.as_str(), again.choices.fidelity),
        (&*files[0], "tiny", 0.5)
    );
    assert!(again.again && !again.choices.automatic);
    far.reports.send(failed(again.item, "the disk is full", false)).unwrap();
    harness.await_sight("a.png: the disk is full");
    assert!(matches!(&harness.state().queue().items()[0].state, State::Done(finished) if finished.output == output));
    // What waits besides still waits: nobody asked for it.
    harness.run_steps(3);
    assert!(next_job(&far).is_none());
    assert_eq!(harness.state().queue().waiting(), 1);
}

/// What the last frame asked of the desktop's window.
fn commands(harness: &Harness<'static, Window>) -> Vec<ViewportCommand> {
    harness.output().viewport_output[&ViewportId::ROOT].commands.clone()
}

/// The user closes the window; returns what it asks of the desktop then.
fn close(harness: &mut Harness<'static, Window>) -> Vec<ViewportCommand> {
    let root = harness.input_mut().viewports.entry(ViewportId::ROOT).or_default();
    root.events.push(ViewportEvent::Close);
    harness.step();
    let asked = commands(harness);
    harness.input_mut().viewports.entry(ViewportId::ROOT).or_default().events.clear();
    harness.run_steps(3);
    asked
}

#[test]
fn closing_during_a_run_asks_what_is_to_become_of_it() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let files = three_pictures(home.path());
    let (mut harness, ends) = with_played_worker(&paths);
    let far = ends.recv().unwrap();
    harness.drop_files(&[&files[0], &files[1]]);
    harness.await_sight("b.png: waiting");
    assert!(!close(&mut harness).contains(&ViewportCommand::CancelClose), "nothing runs: it closes");
    harness.press("Upscale 2 pictures");
    let first = next_job(&far).unwrap();
    assert!(close(&mut harness).contains(&ViewportCommand::CancelClose));
    assert!(harness.sees("Close while pictures are upscaled?") && harness.sees("2 pictures are not done yet."));
    harness.press("Stay");
    assert!(!harness.sees("Close while") && !far.control.is_cancelled(first.item));

    // It closes by itself when all is done.
    close(&mut harness);
    harness.press("Finish, then close");
    far.reports.send(done(first.item, &home.path().join("a_tiny.png"))).unwrap();
    harness.await_sight("True to the original");
    assert!(!commands(&harness).contains(&ViewportCommand::Close), "one is left");
    let second = next_job(&far).unwrap();
    far.reports.send(done(second.item, &home.path().join("b_tiny.png"))).unwrap();
    harness.await_that("the end", |h| commands(h).contains(&ViewportCommand::Close));

    // What is dropped leaves the queue, what is done stays.
    harness.drop_files(&[&files[2]]);
    harness.await_sight("c.png: waiting");
    harness.press("Upscale 1 picture");
    let third = next_job(&far).unwrap();
    close(&mut harness);
    harness.get_by_role_and_label(Role::Button, "Close, and drop them").click();
    harness.await_that("the end", |h| commands(h).contains(&ViewportCommand::Close));
    assert!(far.control.is_cancelled(third.item));
    assert_eq!(names(&harness), ["a.png", "b.png"]);
    assert!(!close(&mut harness).contains(&ViewportCommand::CancelClose), "that was said");
}

#[test]
fn what_is_kept_when_the_window_closes_waits_at_the_next_start() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let files = three_pictures(home.path());
    let (mut harness, ends) = with_played_worker(&paths);
    let far = ends.recv().unwrap();
    harness.drop_files(&[&files[0], &files[1]]);
    harness.await_sight("b.png: waiting");
    harness.press("Upscale 2 pictures");
    next_job(&far).unwrap();
    close(&mut harness);
    harness.get_by_role_and_label(Role::Button, "Close, and keep them for next time").click();
    harness.await_that("the end", |h| commands(h).contains(&ViewportCommand::Close));
    let mut app = harness.into_state();
    eframe::App::on_exit(&mut app);
    drop(app);
    let (mut harness, _ends) = with_played_worker(&paths);
    harness.await_sight("Upscale 2 pictures");
}

#[test]
fn removals_are_undone_and_clearing_leaves_what_failed() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let files = three_pictures(home.path());
    let (mut harness, ends) = with_played_worker(&paths);
    let far = ends.recv().unwrap();
    harness.drop_files(&[&files[0], &files[1], &files[2]]);
    harness.await_sight("c.png: waiting");
    harness.press("Upscale 3 pictures");
    far.reports.send(done(next_job(&far).unwrap().item, &home.path().join("a_tiny.png"))).unwrap();
    harness.await_sight("True to the original");
    let item = next_job(&far).unwrap().item;
    let failure = Failure { reason: "no picture at all".into(), lasts: true };
    far.reports.send(WorkerReport::Failed { item, failure, device_failed: false }).unwrap();
    harness.await_sight("b.png: no picture at all");
    assert!(harness.query_by_label("Retry b.png").is_none(), "the same file fails in the same way");
    harness.press("Cancel c.png");
    far.reports.send(WorkerReport::Cancelled { item: next_job(&far).unwrap().item }).unwrap();
    harness.await_sight("c.png: cancelled");
    assert!(harness.query_by_label("Retry c.png").is_some());

    harness.press("Clear finished");
    assert_eq!(names(&harness), ["b.png", "c.png"]);
    harness.await_sight("1 picture taken out of the queue");
    harness.key(NO_KEYS, Key::Delete);
    harness.key(NO_KEYS, Key::Delete);
    assert!(harness.sees("Drop photos here"));
    for wanted in [&["b.png"][..], &["b.png", "c.png"], &["a.png", "b.png", "c.png"]] {
        harness.key(COMMAND, Key::Z);
        assert_eq!(names(&harness), wanted);
    }
    harness.key(COMMAND, Key::Z);
    assert_eq!(names(&harness).len(), 3);
    // What is typed has an undo of its own.
    harness.key(NO_KEYS, Key::Delete);
    harness.get_by_label("Name").focus();
    harness.run_steps(2);
    harness.key(COMMAND, Key::Z);
    assert_eq!(names(&harness).len(), 2);
}

/// A window whose two devices have begun a run of three pictures.
fn two_devices(home: &Path) -> (Harness<'static, Window>, [FarEnd; 2], [std::path::PathBuf; 3]) {
    let paths = home_with_tiny_model(home);
    let files = three_pictures(home);
    let (setup, ends) = common::played(&paths);
    // The whole panel is seen.
    let mut harness = common::with_size(setup, [1280.0, 1500.0]);
    let first = ends.recv().unwrap();
    let device = |name: &str| DeviceInfo {
        name: name.into(),
        detail: String::new(),
        is_software: false,
        is_cpu: false,
        is_remote: false,
    };
    let devices = vec![device("card"), device("CPU")];
    first.reports.send(WorkerReport::Devices { devices, automatic: "card".into() }).unwrap();
    harness.drop_files(&[&files[0], &files[1], &files[2]]);
    harness.await_sight("c.png: waiting");
    // The forecast of the file has come, and nothing moves any more.
    harness.await_sight("about ");
    harness.get_by_role_and_label(Role::CheckBox, "card").click();
    harness.run_steps(3);
    assert!(ends.try_recv().is_err(), "nothing is started before it is needed");
    harness.press("Upscale 3 pictures");
    let second = ends.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    harness.run_steps(2);
    (harness, [first, second], files)
}

/// One key stops both, and what was stopped is told at once.
#[test]
fn pictures_on_all_devices_are_cancelled_together() {
    let home = tempfile::tempdir().unwrap();
    let (mut harness, [first, second], _) = two_devices(home.path());
    let (one, two) = (next_job(&first).unwrap(), next_job(&second).unwrap());
    harness.key(COMMAND, Key::Period);
    assert!(first.control.is_stopped(one.item) && second.control.is_stopped(two.item));
    assert!(harness.sees("a.png: Cancelling…") && harness.sees("b.png: Cancelling…"));
}

/// Two devices take pictures from one queue; what fails with its device is done by the other.
#[test]
fn devices_share_the_queue() {
    let home = tempfile::tempdir().unwrap();
    let (mut harness, [first, second], files) = two_devices(home.path());
    let (one, two) = (next_job(&first).unwrap(), next_job(&second).unwrap());
    assert_eq!((&one.input, one.choices.device.as_str()), (&files[0], "CPU"));
    assert_eq!((&two.input, two.choices.device.as_str()), (&files[1], "card"));
    assert!(next_job(&first).is_none() && next_job(&second).is_none());

    // Pausing halts both; the one that is free first goes on with the next.
    harness.key(COMMAND, Key::P);
    assert!(first.control.is_paused() && second.control.is_paused());
    harness.key(COMMAND, Key::P);
    assert!(!first.control.is_paused() && !second.control.is_paused());
    second.reports.send(done(two.item, &home.path().join("b_tiny.png"))).unwrap();
    harness.await_sight("1 of 3 done");
    let three = next_job(&second).unwrap();
    assert_eq!(three.input, files[2]);

    // Its device fails: the picture goes to the other one, and nothing more to this.
    second.reports.send(failed(three.item, "the driver fell over", true)).unwrap();
    harness.await_sight("card failed and is left out");
    assert!(next_job(&first).is_none(), "it is still busy");
    first.reports.send(done(one.item, &home.path().join("a_tiny.png"))).unwrap();
    harness.await_sight("2 of 3 done");
    assert_eq!(next_job(&first).unwrap().input, files[2]);
    assert!(next_job(&second).is_none());

    // Cancelling reaches whoever has the picture.
    harness.press("Cancel c.png");
    assert!(first.control.is_cancelled(three.item));
    first.reports.send(WorkerReport::Cancelled { item: three.item }).unwrap();
    harness.await_sight("c.png: cancelled");
}
