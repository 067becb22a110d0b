//! What tests of the command line share.
#![allow(dead_code, reason = "each test uses its part")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Runs the program to its end.
pub(crate) fn dualres(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dualres")).args(arguments).output().expect("the program starts")
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of this test")
}

/// What was printed with `--json`.
pub(crate) fn lines(output: &Output) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).expect("a line of JSON");
    String::from_utf8_lossy(&output.stdout).lines().map(parse).collect()
}
