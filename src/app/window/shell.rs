//! What concerns the window as a whole, whichever tab is in sight.

use std::{
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

use poll_promise::Promise;

use super::{
    actions::Tab,
    desktop::{self, Wishes},
    dialogs::Dialogs,
    leaving::Closing,
    outbox::Outbox,
    settings::Settings,
    sheet::Sheet,
    stored::Memory,
    toasts::Toasts,
};
use crate::{actor::Wake, language::Language};

/// The window as a whole.
pub(crate) struct Shell {
    pub(super) settings: Settings,
    pub(super) saved: Settings,
    pub(super) tab: Tab,
    pub(super) toasts: Toasts,
    pub(super) dialogs: Dialogs,
    /// What lies over the window.
    pub(super) sheet: Option<Sheet>,
    /// What was said about closing the window.
    pub(super) closing: Closing,
    /// What the title bar says.
    pub(super) shown_title: String,
    /// How far the run is by the bar of tasks, in percent; `None` if none is shown.
    pub(super) shown_progress: Option<u8>,
    pub(super) is_focused: bool,
    /// Whether the desktop is to point at the window.
    pub(super) wants_attention: bool,
    /// What the window itself asks for, done when the frame is drawn.
    pub(super) actions: Outbox,
    /// The language where none is chosen.
    pub(super) usual_language: Language,
    /// The language that letters are looked for, and how many passes to wait for them.
    pub(super) unproven: Option<(Language, u8)>,
    /// Whether it has been drawn.
    pub(super) has_been_drawn: bool,
    /// Whether the window has been brought to its place.
    pub(super) settled: bool,
    /// What the desktop asks for, as it comes.
    pub(super) wishes: Receiver<Wishes>,
    /// Held for as long as this window is the one that remembers.
    pub(super) memory: Memory,
    /// The writing of what is to be remembered.
    pub(super) remembering: Option<Promise<Vec<String>>>,
    pub(super) remembered_at: Instant,
}

impl Shell {
    /// `follows_system` says whether it listens to what the desktop asks for.
    pub(super) fn new(settings: Settings, usual_language: Language, follows_system: bool, wake: &Wake) -> Self {
        let (wished, wishes) = channel();
        if follows_system {
            let waker = wake.clone();
            desktop::watch(move |wish| {
                // Nobody listens once the window is closed.
                let _ = wished.send(wish);
                waker();
            });
        }
        Self {
            saved: settings.clone(),
            settings,
            tab: Tab::Upscale,
            toasts: Toasts::default(),
            dialogs: Dialogs::default(),
            sheet: None,
            closing: Closing::No,
            shown_title: String::new(),
            shown_progress: None,
            is_focused: true,
            wants_attention: false,
            actions: Outbox::default(),
            usual_language,
            unproven: None,
            has_been_drawn: false,
            settled: false,
            wishes,
            memory: Memory::default(),
            remembering: None,
            remembered_at: Instant::now(),
        }
    }
}
