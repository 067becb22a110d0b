//! A thread that owns what it works with. Its owner sends it commands and takes its reports whenever there is time for them; what
//! must not wait in a queue goes past it, in what both share.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Tells the window that there is something to see.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Longest time that the end of the program waits for a thread.
const LONGEST_END: Duration = Duration::from_secs(3);
/// How often a thread that is halted looks whether it may go on.
const LOOK: Duration = Duration::from_millis(20);

/// Whether a thread is to work, to halt or to end.
#[derive(Debug, Default)]
pub struct Life {
    ends: AtomicBool,
    paused: AtomicBool,
}

impl Life {
    /// Has the thread end within a step.
    pub fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// Whether nothing more is to be done.
    pub fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    /// Goes on until it is to end.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.ends() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Halts the thread within a step, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Whether it is halted.
    pub fn is_paused(&self) -> bool {
        !self.ends() && self.paused.load(Ordering::Relaxed)
    }

    /// Waits for as long as it is halted, doing what there is to do `meanwhile`, which may end it.
    pub fn halt(&self, mut meanwhile: impl FnMut() -> ControlFlow<()>) -> ControlFlow<()> {
        loop {
            meanwhile()?;
            if !self.is_paused() {
                return self.flow();
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// What an owner and its thread share beside commands and reports.
pub trait Shared: Send + Sync + 'static {
    /// Whether the thread is to go on.
    fn life(&self) -> &Life;

    /// How long the end of the program waits for it.
    fn patience(&self) -> Duration {
        LONGEST_END
    }
}

impl Shared for Life {
    fn life(&self) -> &Life {
        self
    }
}

/// The newest of what is wished for: one that has not been taken is replaced.
#[derive(Debug)]
pub struct Latest<T>(Mutex<Option<T>>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Latest<T> {
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wishes for something, in place of what was wished for before.
    pub fn put(&self, wish: T) {
        *self.slot() = Some(wish);
    }

    /// Puts back what could not be done yet, unless there is something newer.
    pub fn put_back(&self, wish: T) {
        self.slot().get_or_insert(wish);
    }

    /// What is wished for, which is not wished for any more then.
    pub fn take(&self) -> Option<T> {
        self.slot().take()
    }

    /// Whether something is wished for.
    pub fn is_wanted(&self) -> bool {
        self.slot().is_some()
    }
}

/// The owner's end of a thread. Dropped, it ends it.
#[derive(Debug)]
pub struct Actor<In, Out, S: Shared> {
    /// Commands, done one after the other.
    pub commands: Sender<In>,
    /// Reports in their order.
    pub reports: Receiver<Out>,
    /// What goes past the commands.
    pub control: Arc<S>,
    thread: Option<JoinHandle<()>>,
}

/// The thread's end, or that of one who plays it in a test.
#[derive(Debug)]
pub struct FarEnd<In, Out, S> {
    /// What the owner asks for.
    pub commands: Receiver<In>,
    /// What it is told.
    pub reports: Sender<Out>,
    /// What goes past the commands.
    pub control: Arc<S>,
}

/// The thread's way to tell its owner.
pub struct EventSender<Out> {
    reports: Sender<Out>,
    wake: Wake,
}

impl<Out> Clone for EventSender<Out> {
    fn clone(&self) -> Self {
        Self { reports: self.reports.clone(), wake: self.wake.clone() }
    }
}

impl<Out> EventSender<Out> {
    /// Sends a report; `Break` if nobody listens any more.
    pub fn tell(&self, report: Out) -> ControlFlow<()> {
        let sent = self.reports.send(report);
        (self.wake)();
        if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Sends a report that matters to nobody if nobody listens any more.
    pub fn mention(&self, report: Out) {
        let _ = self.tell(report);
    }
}

/// An actor without a thread, and the end where one would be.
pub fn unmanned<In, Out, S: Shared + Default>() -> (Actor<In, Out, S>, FarEnd<In, Out, S>) {
    let (commands, far_commands) = channel();
    let (far_reports, reports) = channel();
    let control = Arc::new(S::default());
    let far = FarEnd { commands: far_commands, reports: far_reports, control: control.clone() };
    (Actor { commands, reports, control, thread: None }, far)
}

impl<In: Send + 'static, Out: Send + 'static, S: Shared + Default> Actor<In, Out, S> {
    /// Starts a thread called `name` that does `work` with the commands it gets. It ends when nobody can command any more.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        name: &str,
        wake: Wake,
        work: impl FnOnce(Receiver<In>, Arc<S>, EventSender<Out>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (mut actor, far) = unmanned();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let FarEnd { commands, reports, control } = far;
            work(commands, control, EventSender { reports, wake });
        })?;
        actor.thread = Some(thread);
        Ok(actor)
    }
}

impl<In, Out, S: Shared> Actor<In, Out, S> {
    /// Sends a command. Returns whether the thread can take it.
    pub fn send(&self, command: In) -> bool {
        self.commands.send(command).is_ok()
    }

    /// The next report, if there is one.
    pub fn next(&self) -> Option<Out> {
        self.reports.try_recv().ok()
    }

    /// Tells the thread to end.
    pub fn end(&mut self) {
        self.control.life().end();
        // Its loop ends when nobody can command any more.
        self.commands = channel().0;
    }

    /// Whether the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for a thread that was told to end, as long as its patience goes.
    pub fn wait(&self) {
        let start = Instant::now();
        while !self.has_ended() && start.elapsed() < self.control.patience() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl<In, Out, S: Shared> Drop for Actor<In, Out, S> {
    /// Ends the thread. A program that ends while a thread of it is inside a graphics driver may crash.
    fn drop(&mut self) {
        self.end();
        self.wait();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_thread_does_what_it_is_told_and_ends_with_its_owner() {
        let ended = Arc::new(AtomicBool::new(false));
        let theirs = ended.clone();
        let mut doubler: Actor<u32, u32, Life> =
            Actor::start("doubler", Arc::new(|| {}), move |commands, life: Arc<Life>, events_out| {
                for number in commands {
                    if life.halt(|| ControlFlow::Continue(())).is_break() || events_out.tell(2 * number).is_break() {
                        break;
                    }
                }
                theirs.store(true, Ordering::Relaxed);
            })
            .unwrap();
        assert!(doubler.send(4));
        assert_eq!(doubler.reports.recv().unwrap(), 8);
        doubler.control.pause(true);
        assert!(doubler.send(5));
        std::thread::sleep(3 * LOOK);
        assert_eq!(doubler.next(), None, "it is halted");
        doubler.control.pause(false);
        assert_eq!(doubler.reports.recv().unwrap(), 10);
        // One that is halted ends too.
        doubler.control.pause(true);
        assert!(doubler.send(6));
        doubler.end();
        doubler.wait();
        assert!(ended.load(Ordering::Relaxed) && doubler.has_ended());
    }

    #[test]
    fn the_newest_wish_wins() {
        let wish = Latest::default();
        wish.put(1);
        wish.put(2);
        assert!(wish.is_wanted());
        assert_eq!(wish.take(), Some(2));
        wish.put(3);
        wish.put_back(2);
        assert_eq!((wish.take(), wish.take()), (Some(3), None));
    }
}
