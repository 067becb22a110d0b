//! The thread that answers what a user waits for: what a network of some widths makes of a part of a picture, how two
//! networks differ on a whole one, how fast they are, and the sensitivity profile that networks of any widths come from.
//!
//! The newest wish for a part of a picture goes before everything else; a whole picture is done in cells, between which
//! such wishes are met.

use std::sync::{Arc, atomic::Ordering};

use super::{
    probe::Probe,
    questions::{Answer, Desires, Look, Question},
};
use crate::{
    actor::{Actor, Teller, Wake},
    language::tr,
    library::Library,
    paths::Paths,
};

/// The window's end of the thread.
#[derive(Debug)]
pub(crate) struct Prober(Actor<Question, Answer, Desires>);

impl Prober {
    /// Starts the thread. It ends when the prober is dropped.
    pub(crate) fn start(library: Library, paths: Paths, wake: Wake) -> std::io::Result<Self> {
        let work = move |questions, desires: Arc<Desires>, teller: Teller<Answer>| {
            let mut probe = Probe::new(library, paths, desires, teller.clone());
            // A panic loses the question, not the thread.
            while let Err(_panic) = dualres_imaging::caught(|| probe.serve(&questions)) {
                probe.recover();
                teller.mention(Answer::Trouble(tr!("comparing networks failed by an error in the program")));
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
    pub(crate) fn look(&self, look: Look) {
        self.0.control.look.put(look);
        self.ask(Question::Look);
    }

    pub(crate) fn next(&self) -> Option<Answer> {
        self.0.next()
    }
}
