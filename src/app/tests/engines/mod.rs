//! Stand-ins for engines that run jobs: each does what the real one does with a script, task by task.
#![cfg(unix)]

use std::{os::unix::fs::PermissionsExt, path::Path};

/// Puts them and the program into `folder`, and gives the search path on which they come first.
pub(crate) fn stand_ins(folder: &Path) -> String {
    let put = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let program = env!("CARGO_BIN_EXE_dualres");
    put("dualres", &format!("#!/bin/sh\nexec '{program}' \"$@\"\n"));
    // Drops its own options, and hands what is left to a shell as parallel does.
    put(
        "parallel",
        "#!/bin/sh\nwhile [ \"${1#--}\" != \"$1\" ]; do shift 2; done\ncommand=\"$*\"\n\
         while read n; do sh -c \"$(printf %s \"$command\" | sed \"s/{}/$n/g\")\" || exit 1; done\n",
    );
    // Runs the tasks of an array one by one.
    put(
        "hq",
        "#!/bin/sh\nshift\nwhile [ \"$1\" != sh ]; do [ \"$1\" = --array ] && last=${2#1-}; shift; done\n\
         for n in $(seq $last); do HQ_TASK_ID=$n \"$@\" || exit 1; done\n",
    );
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}
