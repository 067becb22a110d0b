//! What is worked out once and kept for as long as what it depends on is the same: frames come sixty times a second, and what they show
//! changes seldom.

use std::cell::RefCell;

/// The last value, with what it was worked out from.
#[derive(Debug)]
pub(crate) struct Memo<K, V>(RefCell<Option<(K, V)>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl<K: PartialEq, V: Clone> Memo<K, V> {
    /// The value of `key`.
    pub(crate) fn get(&self, key: K, work: impl FnOnce(&K) -> V) -> V {
        if let Some((known, value)) = &*self.0.borrow()
            && *known == key
        {
            return value.clone();
        }
        let value = work(&key);
        *self.0.borrow_mut() = Some((key, value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_depends_on_the_same_is_worked_out_once() {
        let (memo, worked) = (Memo::default(), Cell::new(0));
        let square = |key: i32| {
            memo.get(key, |key| {
                worked.set(worked.get() + 1);
                key * key
            })
        };
        assert_eq!([square(3), square(3), square(4), square(4), square(3)], [9, 9, 16, 16, 9]);
        assert_eq!(worked.get(), 3);
    }
}
