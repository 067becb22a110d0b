//! The picture on the screen: what is seen of it, and how it gets there.
//!
//! All panes share one [`view::View`], in pixels of the result. Pictures are pyramids of pages; what comes into sight
//! is uploaded a few pages at a time ([`gpu`]), so that pictures of any size are drawn and nothing waits.

pub mod gpu;
pub(crate) mod pages;
pub mod view;
