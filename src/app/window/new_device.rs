//! A device of another machine that the user is naming.

/// What is typed, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NewDevice {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) token_file: String,
    pub(crate) complaint: Option<String>,
}
