//! Failures of devices that tests bring about, because no driver fails when it is told to.

/// Environment variable that makes every graphics adapter fail: see [`Fault::parse`].
pub const FAULT_VARIABLE: &str = "DUALRES_INJECT_FAULT";

/// What a device is made to do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// How many results come out right first; for [`FaultKind::OutOfMemory`] the largest result in samples that still does.
    pub after: usize,
}

/// Ways to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Results are off by many gray levels in places.
    Wrong,
    /// Results hold what is no number.
    NotNumbers,
    /// Results are black.
    Constant,
    /// The driver is reset.
    Lost,
    /// Large results find no memory.
    OutOfMemory,
    /// The driver never comes back.
    Hung,
    /// The driver ends the program.
    Deadly,
}

impl Fault {
    /// Reads `wrong`, `nan`, `constant`, `lost`, `memory`, `hung` or `deadly`, with `@` and the number of [`Fault::after`] behind it.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, after) = text.split_once('@').unwrap_or((text, "0"));
        let kind = match kind {
            "wrong" => FaultKind::Wrong,
            "nan" => FaultKind::NotNumbers,
            "constant" => FaultKind::Constant,
            "lost" => FaultKind::Lost,
            "memory" => FaultKind::OutOfMemory,
            "hung" => FaultKind::Hung,
            "deadly" => FaultKind::Deadly,
            _ => return None,
        };
        Some(Self { kind, after: after.parse().ok()? })
    }

    /// What the environment asks for.
    pub(super) fn of_environment() -> Option<Self> {
        std::env::var(FAULT_VARIABLE).ok().as_deref().and_then(Self::parse)
    }

    /// Spoils the result of the device that comes after `before` others.
    ///
    /// # Panics
    /// As drivers do, where it finds no memory.
    pub fn spoil(&self, before: usize, samples: &mut [f32]) {
        let after = self.after;
        if self.kind == FaultKind::OutOfMemory {
            assert!(samples.len() <= after, "out of memory: {} samples, {after} fit", samples.len());
            return;
        }
        if before < after {
            return;
        }
        match self.kind {
            FaultKind::Wrong => samples.iter_mut().step_by(97).for_each(|sample| *sample += 40.0),
            FaultKind::NotNumbers => samples.iter_mut().step_by(1009).for_each(|sample| *sample = f32::NAN),
            FaultKind::Constant => samples.fill(0.0),
            FaultKind::Lost | FaultKind::OutOfMemory => {}
            FaultKind::Hung => loop {
                std::thread::park();
            },
            FaultKind::Deadly => std::process::abort(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        assert_eq!(Fault::parse("nan@3"), Some(Fault { kind: FaultKind::NotNumbers, after: 3 }));
        assert_eq!(Fault::parse("lost"), Some(Fault { kind: FaultKind::Lost, after: 0 }));
        assert_eq!(Fault::parse("lost@soon"), None);
        assert_eq!(Fault::parse(""), None);
    }
}
