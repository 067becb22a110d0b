//! The thread that answers what a user waits for: what a network of some widths makes of a part of a picture, how two
//! networks differ on a whole one, how fast they are, and the sensitivity profile that networks of any widths come from.
//!
//! The newest wish for a part of a picture goes before everything else; a whole picture is done in cells, between which
//! such wishes are met.

use std::sync::{Arc, atomic::Ordering};

use super::{
    previewing::Previewer,
    questions::{Answer, Desires, PreviewRequest, Question},
};
use crate::{
    actor::{Actor, EventSender, Wake},
    language::tr,
    library::Library,
    paths::Paths,
};

/// The window's end of the thread.
#[derive(Debug)]
pub(crate) struct PreviewWorker(Actor<Question, Answer, Desires>);

impl PreviewWorker {
    /// Starts the thread. It ends when the preview worker is dropped.
    pub(crate) fn start(library: Library, paths: Paths, wake: Wake) -> std::io::Result<Self> {
        let work = move |questions, desires: Arc<Desires>, events_out: EventSender<Answer>| {
            let mut probe = Previewer::new(library, paths, desires, events_out.clone());
            // A panic loses the question, not the thread.
            while let Err(_panic) = dualres_imaging::caught(|| probe.serve(&questions)) {
                probe.recover();
                events_out.mention(Answer::Trouble(tr!("comparing networks failed by an error in the program")));
            }
        };
        Ok(Self(Actor::start("prober", wake, work)?))
    }

    pub(crate) fn ask(&self, question: Question) {
        if matches!(question, Question::Profile { .. }) {
            self.0.control.profile.fetch_add(1, Ordering::Relaxed);
        }
        // The thread ends with the window only.
        self.0.send(question);
    }

    /// Asks for a part of a picture, in place of one that has not begun.
    pub(crate) fn look(&self, look: PreviewRequest) {
        self.0.control.look.put(look);
        self.ask(Question::PreviewRequest);
    }

    pub(crate) fn next(&self) -> Option<Answer> {
        self.0.next()
    }
}
