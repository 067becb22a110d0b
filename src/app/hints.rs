//! Ways out of errors of the libraries, in the words of a command or of the window.

use std::sync::atomic::{AtomicBool, Ordering};

use dualres_compression::CompressionError;
use dualres_engine::EngineError;
use dualres_network::{Hint, NetworkError};
use dualres_training::TrainingError;

/// Whether a window shows what is said.
static IN_WINDOW: AtomicBool = AtomicBool::new(false);

/// Has ways out said in the words of the window from now on.
pub(crate) fn speak_in_window() {
    IN_WINDOW.store(true, Ordering::Relaxed);
}

/// What is said in the words of a command or of the window, whichever is read.
pub(crate) fn wording(command: impl FnOnce() -> String, window: impl FnOnce() -> String) -> String {
    if IN_WINDOW.load(Ordering::Relaxed) { window() } else { command() }
}

/// The way out of an error, in English.
pub(crate) fn of(error: &anyhow::Error) -> Option<&'static str> {
    let hint = error.chain().find_map(|cause| {
        let of_network = |error: &NetworkError| error.hint();
        cause
            .downcast_ref::<NetworkError>()
            .and_then(of_network)
            .or_else(|| match cause.downcast_ref()? {
                EngineError::Network(error) => error.hint(),
                _ => None,
            })
            .or_else(|| match cause.downcast_ref()? {
                TrainingError::Network(error) => error.hint(),
                _ => None,
            })
            .or_else(|| cause.downcast_ref::<CompressionError>()?.hint())
    })?;
    Some(if IN_WINDOW.load(Ordering::Relaxed) { in_window(hint) } else { in_command(hint) })
}

fn in_command(hint: Hint) -> &'static str {
    match hint {
        Hint::Import => "`dualres models import` makes a model file of it",
        Hint::BesideNetwork => "give it with --dual, and the file of the network itself",
        Hint::GoOn => "run the same command again to resume, with --device cpu if it fails again",
        Hint::TrainDuals => "train one with `dualres train --dual-only --model`",
        Hint::OwnProfile => "choose another file, or leave out --profile",
    }
}

/// Known to the translations as `language/templates.rs` has them.
fn in_window(hint: Hint) -> &'static str {
    match hint {
        Hint::Import => "import it in the Models tab",
        Hint::BesideNetwork => "import the file of the network itself",
        Hint::GoOn => "what was saved is kept; resume it, on the CPU if the device fails again",
        Hint::TrainDuals => "the Models tab makes one",
        Hint::OwnProfile => "choose another file, or have the layers measured anew",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn ways_out_are_found_in_errors_of_all_rooms_and_the_window_names_no_command() {
        let failed = || NetworkError::DeviceFailed { name: "card".into(), reason: "gone".into() };
        let errors: [anyhow::Error; 4] = [
            failed().into(),
            EngineError::Network(failed()).into(),
            TrainingError::Network(failed()).into(),
            CompressionError::Training(TrainingError::Network(failed())).into(),
        ];
        for error in errors {
            assert_eq!(of(&error.context("while it worked")), Some(in_command(Hint::GoOn)));
        }
        assert_eq!(of(&anyhow::anyhow!("something else")), None);
        let foreign = NetworkError::Foreign { name: "a.pth".into(), what: "it looks like a PyTorch checkpoint" };
        let said = crate::report::message(&foreign.into());
        assert!(said.starts_with("it looks like") && said.contains("a.pth; `dualres models import`"), "{said}");
        for hint in [Hint::Import, Hint::BesideNetwork, Hint::GoOn, Hint::TrainDuals, Hint::OwnProfile] {
            assert!(!in_window(hint).contains("--") && !in_window(hint).contains('`'), "{hint:?}");
        }
    }
}
