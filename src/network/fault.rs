//! What can be wrong with devices of other machines.

use std::path::PathBuf;

/// Why a device of another machine cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteFault {
    /// No address.
    #[error(
        "not an address of a remote device: \"{0}\"; use ws://HOST:PORT, or the id that `dualres serve` prints, with @IP:PORT after it if it says so"
    )]
    Address(String),
    /// The token cannot be read.
    #[error("cannot read the token ({reason}): {}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Built without.
    #[error("this program was built without remote devices; build it with the feature `remote`")]
    NotBuilt,
    /// The server does not know the token.
    #[error("the server refused the token; use the token file of `dualres serve` there")]
    Refused,
    /// Another version.
    #[error("the server runs another version of dualres; install the same version on both machines")]
    Version,
    /// The connection ended in the middle of work.
    #[error("the connection was lost; check that `dualres serve` runs there")]
    Lost,
    /// No answer.
    #[error("the server does not answer ({0}); check that `dualres serve` runs there")]
    Unreachable(String),
}
