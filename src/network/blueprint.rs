//! What a training run makes: a network in numbers, or one that is given.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Architecture, Description, DualSpec, Model, Result,
    families::{Backbone, dual_chain},
    graph::Graph,
};

/// A network to be trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Blueprint {
    /// A DRN.
    Drn(Architecture),
    /// A backbone at the input's resolution.
    Backbone(Backbone),
    /// Any network, such as an imported one.
    Given {
        /// Its family.
        family: String,
        /// The network.
        network: Arc<Graph>,
        /// Its dual models; where there are none, one that jumps the whole scale is learned.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        duals: Vec<DualSpec>,
    },
}

impl From<Architecture> for Blueprint {
    fn from(architecture: Architecture) -> Self {
        Self::Drn(architecture)
    }
}

impl Blueprint {
    /// A description of the network with the dual models it is trained with: a DRN has one a level, others one that jumps
    /// the whole scale.
    ///
    /// # Errors
    /// If the numbers describe no network.
    pub fn describe(&self, name: &str) -> Result<Description> {
        Ok(match self {
            Self::Drn(architecture) => Description::drn(name, architecture)?,
            Self::Backbone(backbone) => Description::new(name, "backbone", backbone.graph()?).with_single_dual(),
            Self::Given { family, network, duals } => {
                let mut description = Description::new(name, family, Graph::clone(network));
                if !duals.is_empty() {
                    description.duals.clone_from(duals);
                    description
                } else if description.pyramid().len() > 2 {
                    let duals = dual_chain(&description.pyramid(), 16)?;
                    description.with_duals(duals)
                } else {
                    description.with_single_dual()
                }
            }
        })
    }

    /// The network.
    ///
    /// # Errors
    /// If the numbers describe no network.
    pub fn graph(&self) -> Result<Graph> {
        match self {
            Self::Drn(architecture) => architecture.graph(),
            Self::Backbone(backbone) => backbone.graph(),
            Self::Given { network, .. } => Ok(Graph::clone(network)),
        }
    }

    /// Factor between the sides of input and result.
    pub fn scale(&self) -> usize {
        match self {
            Self::Drn(architecture) => architecture.scale,
            Self::Backbone(backbone) => backbone.scale,
            Self::Given { network, .. } => network.scale(),
        }
    }

    /// What goes on with a model that is there: a DRN by its numbers, any other network as it is.
    pub fn of(model: &Model) -> Self {
        let description = &model.description;
        if description.family == "DRN"
            && let Some(architecture) = Architecture::of_graph(&description.network)
            && architecture.graph().is_ok_and(|graph| graph == *description.network)
            && Description::drn("", &architecture)
                .is_ok_and(|drn| drn.duals == description.duals || model.duals.is_empty())
        {
            return Self::Drn(architecture);
        }
        Self::Given {
            family: description.family.clone(),
            network: description.network.clone(),
            duals: description.duals.clone(),
        }
    }
}
