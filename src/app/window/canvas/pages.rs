//! Which page lies in which layer of the texture, and which has to go when a new one comes.

use std::collections::HashMap;

use crate::window::document::PageKey;

/// Layers of the texture, shared by all pyramids. The least recently drawn page makes room.
#[derive(Debug)]
pub(crate) struct PageCache {
    layers: Vec<Option<(PageKey, u64)>>,
    places: HashMap<PageKey, u32>,
    frame: u64,
}

impl PageCache {
    pub(crate) fn new(layers: u32) -> Self {
        Self { layers: vec![None; layers as usize], places: HashMap::new(), frame: 0 }
    }

    /// A new picture is drawn; pages asked for from now on are in use.
    pub(crate) fn begin(&mut self) {
        self.frame += 1;
    }

    /// The layer of a page, if it is there.
    pub(crate) fn find(&mut self, key: PageKey) -> Option<u32> {
        let layer = *self.places.get(&key)?;
        self.layers[layer as usize] = Some((key, self.frame));
        Some(layer)
    }

    /// A layer for a page that is not there; `None` if all are in use in this very picture.
    pub(crate) fn claim(&mut self, key: PageKey) -> Option<u32> {
        let age = |slot: &Option<(PageKey, u64)>| slot.map_or(0, |(_, used)| used);
        let (layer, oldest) = self.layers.iter().enumerate().min_by_key(|(_, slot)| age(slot))?;
        if age(oldest) == self.frame {
            return None;
        }
        if let Some((old, _)) = oldest {
            self.places.remove(old);
        }
        self.layers[layer] = Some((key, self.frame));
        self.places.insert(key, layer as u32);
        Some(layer as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(column: usize) -> PageKey {
        PageKey { pyramid: 1, level: 0, place: [column, 0] }
    }

    #[test]
    fn the_least_recently_drawn_page_makes_room_and_none_in_use_does() {
        let mut cache = PageCache::new(2);
        cache.begin();
        assert_eq!(cache.claim(key(0)), Some(0));
        assert_eq!(cache.claim(key(1)), Some(1));
        assert_eq!(cache.claim(key(2)), None, "both layers are in this picture");
        cache.begin();
        assert_eq!(cache.find(key(0)), Some(0));
        assert_eq!(cache.claim(key(2)), Some(1));
        assert_eq!(cache.find(key(1)), None);
        assert_eq!(cache.find(key(2)), Some(1));
    }
}
