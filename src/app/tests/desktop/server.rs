//! An X server of its own for a test, and the program on it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A virtual X server; ends with the test.
pub(crate) struct Server {
    process: Child,
    pub(crate) display: String,
}

impl Server {
    /// Starts one with a screen of `size`; `None` if there is no Xvfb, which only a machine may lack that need not have
    /// graphics.
    pub(crate) fn start(size: &str) -> Option<Self> {
        let started = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", size, "-nolisten", "tcp", "-noreset"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut process = match started {
            Ok(process) => process,
            Err(error) => {
                let required = std::env::var_os("DUALRES_REQUIRE_GPU").is_some_and(|v| v == "1");
                assert!(!required, "DUALRES_REQUIRE_GPU=1, but Xvfb does not start: {error}");
                eprintln!("not tested: Xvfb does not start ({error})");
                return None;
            }
        };
        let mut number = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Some(Self { process, display: format!(":{}", number.trim()) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program on a server; killed with the test if it has not ended.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn start(server: &Server, home: &Path, files: &[PathBuf]) -> Self {
        let process = Command::new(env!("CARGO_BIN_EXE_dualres"))
            .args(files)
            .env("DISPLAY", &server.display)
            .env_remove("WAYLAND_DISPLAY")
            .env("DUALRES_HOME", home)
            .env("LC_ALL", "C")
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(process)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub(crate) fn succeeded(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
