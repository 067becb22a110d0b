//! The methods there are: what each is called and says of itself, how it finds widths, and how channels. Command line, window, files and
//! estimates read this table; a method that puts known ways together is a row of it.

use serde::{Deserialize, Serialize};

/// How widths and channels are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The method of the paper.
    Drc,
    /// Its selection on even widths.
    Uniform,
    /// A control without any choice.
    Random,
    /// After Li et al., ICLR 2017.
    L1,
    /// ThiNet, ICCV 2017, rescaled by least squares.
    Thinet,
    /// After DCP, NeurIPS 2018, with the loss of the pictures in place of auxiliary classifiers.
    Dcp,
    /// No search, and no gradients.
    Profile,
}

/// How many channels each prunable layer keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Widths {
    /// A channel-number search says (section 4.2 of the method).
    Search,
    /// The same share of every prunable layer.
    Even,
    /// The sensitivity profile says.
    Profile,
}

/// Which channels they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Those that the gradient of the dual regression loss asks for first (section 4.3 of the method).
    Greedy,
    /// Those without which the next features change most.
    Thinet,
    /// Any.
    Random,
    /// Those whose consumers have the largest L1 norm.
    L1,
    /// Those from which the profile predicts the others best.
    Profile,
}

impl Channels {
    /// Whether pictures are looked at; `fits` says that consumers are fitted to them.
    pub fn look_at_pictures(self, fits: bool) -> bool {
        match self {
            Self::Greedy | Self::Thinet => true,
            Self::Profile => fits,
            Self::Random | Self::L1 => false,
        }
    }
}

/// What a method is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// In files and commands.
    pub name: &'static str,
    /// As it is called.
    pub label: &'static str,
    /// What it does, in a sentence.
    pub does: &'static str,
    /// How it finds widths.
    pub widths: Widths,
    /// How it finds channels.
    pub channels: Channels,
    /// Whether channels are chosen with the dual loss.
    pub dual: bool,
}

impl Method {
    /// All of them, in the order they are offered.
    pub const ALL: [Self; 7] =
        [Self::Drc, Self::Uniform, Self::L1, Self::Random, Self::Thinet, Self::Dcp, Self::Profile];

    /// The method of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.about().name == name)
    }

    /// What it is.
    pub const fn about(self) -> About {
        const EVEN: About =
            About { name: "", label: "", does: "", widths: Widths::Even, channels: Channels::Greedy, dual: true };
        match self {
            Self::Drc => About {
                name: "drc",
                label: "DRC",
                does: "Channel-number search and selection, both by the dual regression loss",
                widths: Widths::Search,
                ..EVEN
            },
            Self::Uniform => About {
                name: "uniform",
                label: "Uniform",
                does: "The same fraction of every layer, channels selected by the dual regression loss",
                ..EVEN
            },
            Self::Random => About {
                name: "random",
                label: "Random",
                does: "The same fraction of every layer, channels at random",
                channels: Channels::Random,
                ..EVEN
            },
            Self::L1 => About {
                name: "l1",
                label: "L1 norm",
                does: "The same fraction of every layer, channels with the largest L1 norm",
                channels: Channels::L1,
                ..EVEN
            },
            Self::Thinet => About {
                name: "thinet",
                label: "ThiNet",
                does: "The same fraction of every layer, channels without which features change most",
                channels: Channels::Thinet,
                ..EVEN
            },
            Self::Dcp => About {
                name: "dcp",
                label: "DCP style",
                does: "The same fraction of every layer, channels selected without the dual loss",
                dual: false,
                ..EVEN
            },
            Self::Profile => About {
                name: "profile",
                label: "Profile",
                does: "Widths from the sensitivity profile, channels predicted from those that stay",
                widths: Widths::Profile,
                channels: Channels::Profile,
                ..EVEN
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// A method that is not in the list would be offered nowhere.
    #[test]
    fn every_method_is_offered_under_the_name_that_files_have() {
        for method in Method::ALL {
            let written = serde_json::to_value(method).unwrap();
            assert_eq!(written, method.about().name);
            assert_eq!(Method::named(method.about().name), Some(method));
            assert!(!method.about().label.is_empty() && method.about().does.len() > 20);
        }
        let refused = serde_json::from_str::<Method>("\"none\"").unwrap_err().to_string();
        let known = refused.matches('`').count() / 2 - 1;
        assert_eq!(known, Method::ALL.len(), "{refused}");
    }
}
