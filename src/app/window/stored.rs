//! What the window remembers, as JSON files: written whole or not at all, read as far as it is known.

use std::{path::Path, time::Duration};

use dualres_imaging::{
    file::{check_folder, write_atomically},
    lock::{Lock, LockError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{language::tr, paths::Paths};

/// Reads a JSON file that the program wrote; the default if there is none, and a complaint if it is damaged or another version
/// wrote what is not known here. Everything that is known is kept.
pub(crate) fn read<T: Default + Serialize + for<'de> Deserialize<'de>>(path: &Path) -> (T, Option<String>) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (T::default(), None),
        Err(error) => {
            let complaint = tr!("cannot read %{path} (%{error})", path = path.display(), error = error);
            return (T::default(), Some(complaint));
        }
    };
    let set_aside = || {
        let kept = path.with_extension("damaged.json");
        // A copy: another window may be at work with the file.
        match std::fs::copy(path, &kept) {
            Ok(_) => tr!("a copy is %{path}", path = kept.display()),
            Err(error) => tr!("no copy could be made (%{error})", error = error),
        }
    };
    let stored: Value = match serde_json::from_str(&text) {
        Ok(stored) => stored,
        Err(error) => {
            let complaint = tr!("the settings file is damaged (%{error}); %{copy}", error = error, copy = set_aside());
            return (T::default(), Some(complaint));
        }
    };
    if let Ok(value) = T::deserialize(&stored) {
        return (value, None);
    }
    let mut known = Known { value: serde_json::to_value(T::default()).unwrap_or_default(), unknown: Vec::new() };
    known.take::<T>("", &stored);
    let complaint = tr!(
        "settings of another version were ignored (%{settings}); %{copy}",
        settings = known.unknown.join(", "),
        copy = set_aside()
    );
    (T::deserialize(known.value).unwrap_or_default(), Some(complaint))
}

/// Writes a JSON file whole or not at all.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| {
            anyhow::anyhow!(tr!(
                "cannot make the folder (%{error}): %{folder}",
                error = error,
                folder = folder.display()
            ))
        })?;
    }
    Ok(write_atomically(path, serde_json::to_string_pretty(value)?.as_bytes())?)
}

/// Whether this window remembers.
#[derive(Default)]
pub(crate) enum Memory {
    /// It alone does, for as long as this is held.
    Own(#[expect(dead_code, reason = "held, not read")] Lock),
    /// Another one does.
    OfAnother,
    /// Nothing can be written.
    #[default]
    None,
}

/// The right to remember, which one window has at a time; and what is to be told all the same.
pub(crate) fn lock(paths: &Paths) -> (Memory, Option<String>) {
    let folder = paths.config.display();
    let unwritable = |error: &std::io::Error| {
        let text = tr!(
            "Settings won't be saved: cannot write to the settings folder (%{error}): %{folder}",
            error = error,
            folder = folder
        );
        (Memory::None, Some(text))
    };
    if let Err(error) = check_folder(&paths.config) {
        return unwritable(&error);
    }
    // A program that was killed takes a moment to let go.
    for _ in 0..20 {
        match Lock::take(&paths.config.join("lock")) {
            Ok(lock) => {
                let doubt = lock.doubt().map(|doubt| tr!("Settings: %{doubt}", doubt = doubt));
                return (Memory::Own(lock), doubt);
            }
            Err(LockError::File(error)) => return unwritable(&error),
            Err(LockError::Held) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    (Memory::OfAnother, Some(tr!("Another window is open; settings won't be saved here")))
}

/// What is taken over of a file.
struct Known {
    /// Can be read as what is wanted, at any time.
    value: Value,
    /// Where it holds what is not known.
    unknown: Vec<String>,
}

impl Known {
    /// Takes over what lies at a place (a JSON pointer), part by part.
    fn take<T: for<'de> Deserialize<'de>>(&mut self, place: &str, stored: &Value) {
        if self.tries::<T>(place, stored.clone()) {
            return;
        }
        match stored {
            Value::Object(fields) if self.value.pointer(place).is_some_and(Value::is_object) => {
                for (name, field) in fields {
                    self.take::<T>(&format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")), field);
                }
            }
            Value::Array(items) => {
                // Each alone, so that thousands take no longer than as many.
                let mut kept = items.clone();
                kept.retain(|item| self.tries::<T>(place, Value::Array(vec![item.clone()])));
                if kept.len() < items.len() {
                    let (count, place) = (items.len() - kept.len(), place.trim_start_matches('/'));
                    self.unknown.push(tr!("%{count} of %{place}", count = count, place = place));
                }
                self.tries::<T>(place, Value::Array(kept));
            }
            _ => self.unknown.push(place.trim_start_matches('/').to_owned()),
        }
    }

    /// Puts a value into its place if everything can be read then.
    fn tries<T: for<'de> Deserialize<'de>>(&mut self, place: &str, stored: Value) -> bool {
        let Some((parent, name)) = place.rsplit_once('/') else {
            let is_known = T::deserialize(&stored).is_ok();
            if is_known {
                self.value = stored;
            }
            return is_known;
        };
        let name = name.replace("~1", "/").replace("~0", "~");
        let Some(Value::Object(fields)) = self.value.pointer_mut(parent) else { return false };
        let before = fields.insert(name.clone(), stored);
        let is_known = T::deserialize(&self.value).is_ok();
        if !is_known && let Some(Value::Object(fields)) = self.value.pointer_mut(parent) {
            match before {
                Some(before) => fields.insert(name, before),
                None => fields.remove(&name),
            };
        }
        is_known
    }
}
