//! The thread that answers what a user waits for: what a network of some widths makes of a part of a picture, how two
//! networks differ on a whole one, how fast they are, and the sensitivity profile that networks of any widths come from.
//!
//! The newest wish for a part of a picture goes before everything else; a whole picture is done in cells, between which
//! such wishes are met.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use super::{
    probe::{Probe, Teller},
    questions::{Answer, Look, Question, Shared},
};
use crate::{
    language::tr,
    library::Library,
    paths::Paths,
    window::worker::{Wake, wait_for},
};

/// The window's end of the thread.
#[derive(Debug)]
pub(crate) struct Prober {
    questions: Sender<Question>,
    answers: Receiver<Answer>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Prober {
    /// Starts the thread. It ends when the prober is dropped.
    pub(crate) fn start(library: Library, paths: Paths, wake: Wake) -> std::io::Result<Self> {
        let (questions, far_questions) = channel();
        let (far_answers, answers) = channel();
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("prober".into()).spawn(move || {
            let teller = Teller { answers: far_answers, wake };
            let told = teller.clone();
            let mut probe = Probe::new(library, paths, theirs, teller);
            // A panic loses the question, not the thread.
            while let Err(_panic) = dualres_imaging::caught(|| probe.serve(&far_questions)) {
                probe.recover();
                told.tell(Answer::Trouble(tr!("comparing networks failed by an error in the program")));
            }
        })?;
        Ok(Self { questions, answers, shared, thread: Some(thread) })
    }

    pub(crate) fn ask(&self, question: Question) {
        if matches!(question, Question::Profile { .. }) {
            self.shared.profile.fetch_add(1, Ordering::Relaxed);
        }
        // The thread ends with the window only.
        let _ = self.questions.send(question);
    }

    /// Asks for a part of a picture, in place of one that has not begun.
    pub(crate) fn look(&self, look: Look) {
        *self.shared.look.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
        self.ask(Question::Look);
    }

    pub(crate) fn next(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        self.questions = channel().0;
        wait_for(self.thread.take());
    }
}
