//! What becomes of the open picture's file with the present choices, told before the run: what it cannot take along, and about how
//! large it will be.

use std::{cell::RefCell, sync::Arc};

use dualres_imaging::{EncodeOptions, Format, Picture};
use poll_promise::Promise;

use super::queue::ItemId;
use crate::{
    actor::Wake,
    batch::result::{Keep, estimated_size, losses},
    language::Language,
};

/// What a forecast depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) item: ItemId,
    pub(super) format: Format,
    /// Width and height of the result.
    pub(super) size: [usize; 2],
    pub(super) encoding: EncodeOptions,
    pub(super) keep: Keep,
    /// What it is told in.
    pub(super) language: Language,
}

/// What is known of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Forecast {
    /// What it cannot take along, in words.
    pub(super) losses: Vec<String>,
    /// About how many bytes it will take.
    pub(super) bytes: Option<u64>,
}

/// The last forecast, and one that is being made.
#[derive(Default)]
pub(super) struct Forecasts(RefCell<InHand>);

#[derive(Default)]
struct InHand {
    known: Option<(Asked, Forecast)>,
    under_way: Option<(Asked, Promise<Forecast>)>,
}

impl Forecasts {
    /// The forecast for a picture, once it is made; the last one of it for as long as another is made, which `wake` tells of.
    pub(super) fn of(&self, asked: Asked, picture: &Arc<Picture>, wake: &Wake) -> Option<Forecast> {
        let mut made = self.0.borrow_mut();
        if let Some((made_for, promise)) = made.under_way.take() {
            match promise.try_take() {
                Ok(forecast) => made.known = Some((made_for, forecast)),
                Err(promise) => made.under_way = Some((made_for, promise)),
            }
        }
        let is_known = made.known.as_ref().is_some_and(|(known, _)| *known == asked);
        if !is_known && made.under_way.is_none() {
            let (picture, wake) = (Arc::clone(picture), wake.clone());
            let work = move || {
                let forecast = make(&picture, asked);
                wake();
                forecast
            };
            made.under_way = Some((asked, Promise::spawn_thread("forecast", work)));
        }
        made.known.as_ref().filter(|(known, _)| known.item == asked.item).map(|(_, forecast)| forecast.clone())
    }
}

fn make(picture: &Picture, asked: Asked) -> Forecast {
    let Asked { format, size, encoding, keep, .. } = asked;
    // What cannot be encoded is told where it is refused.
    let bytes = estimated_size(picture, size, format, encoding, keep).ok();
    Forecast { losses: losses(picture, format, keep), bytes }
}
