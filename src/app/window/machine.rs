//! What is known of the machine: memory, disks, and names that are free there.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

/// What is known of the machine, asked for once in a while.
#[derive(Default)]
pub(crate) struct Machine(RefCell<Known>);

#[derive(Default)]
struct Known {
    system: System,
    asked: Option<Instant>,
    used: u64,
    free: u64,
    disk: Option<(std::path::PathBuf, Instant, Option<u64>)>,
    name: Option<(std::path::PathBuf, Instant, std::path::PathBuf)>,
}

const ASK_EVERY: Duration = Duration::from_secs(2);

impl Machine {
    /// The name that a result would get now in place of a wanted one.
    pub(crate) fn free_name(&self, wanted: &std::path::Path) -> std::path::PathBuf {
        self.0.borrow_mut().free_name(wanted)
    }

    /// Free bytes on the disk of a folder, if the system tells.
    pub(crate) fn free_disk(&self, folder: &std::path::Path) -> Option<u64> {
        self.0.borrow_mut().free_disk(folder)
    }

    /// Memory in bytes: what this program uses, and what is free.
    pub(super) fn memory(&self) -> [u64; 2] {
        self.0.borrow_mut().memory()
    }
}

impl Known {
    fn free_name(&mut self, wanted: &std::path::Path) -> std::path::PathBuf {
        match &self.name {
            Some((known, asked, free)) if known == wanted && asked.elapsed() < ASK_EVERY => free.clone(),
            _ => {
                let free = crate::naming::free(wanted, &|_| false);
                self.name = Some((wanted.to_owned(), Instant::now(), free.clone()));
                free
            }
        }
    }

    fn free_disk(&mut self, folder: &std::path::Path) -> Option<u64> {
        match &self.disk {
            Some((known, asked, free)) if known == folder && asked.elapsed() < ASK_EVERY => *free,
            _ => {
                // A folder that is yet to be made is on the disk of the first one above it that is there.
                let there = folder.ancestors().find(|folder| folder.exists());
                let free = there.and_then(|there| fs4::available_space(there).ok());
                self.disk = Some((folder.to_owned(), Instant::now(), free));
                free
            }
        }
    }

    fn memory(&mut self) -> [u64; 2] {
        self.ask();
        [self.used, self.free]
    }

    fn ask(&mut self) {
        if self.asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY) {
            return;
        }
        self.asked = Some(Instant::now());
        self.system.refresh_memory();
        self.free = self.system.available_memory();
        if let Ok(id) = sysinfo::get_current_pid() {
            let what = ProcessRefreshKind::nothing().with_memory();
            self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, what);
            self.used = self.system.process(id).map_or(0, sysinfo::Process::memory);
        }
    }
}
