//! What libraries expect of a session of the desktop.

/// Gives libraries the folder of the session that they complain about on standard error where there is no session: a path at
/// which nothing is to be found is quiet. Before there are other threads.
#[cfg(target_os = "linux")]
pub(crate) fn give_a_place() {
    const NAME: &str = "XDG_RUNTIME_DIR";
    if std::env::var_os(NAME).is_none_or(|folder| folder.is_empty()) {
        let user = rustix::process::getuid().as_raw();
        // SAFETY: the first thing that the program does; nothing else reads or writes the environment yet.
        #[allow(unsafe_code, reason = "the environment is the only place where it is looked for")]
        unsafe {
            std::env::set_var(NAME, format!("/run/user/{user}"));
        }
    }
}

/// Elsewhere nothing is expected.
#[cfg(not(target_os = "linux"))]
pub(crate) fn give_a_place() {}
