//! The containers of PyTorch: zip archives since 1.6, a sequence of pickles and raw storages before.

use std::{
    collections::HashMap,
    io::{Cursor, Read},
    path::Path,
    rc::Rc,
};

use super::pickle::{self, Pickle, Storage, TensorView, Value};
use crate::{NetworkError, Result, Weight, Weights};

/// Largest checkpoint that is read, in bytes.
const MAX_BYTES: u64 = 4 << 30;

/// The content of a checkpoint.
pub(crate) enum Checkpoint {
    /// One network.
    StateDict(Weights),
    /// Several networks.
    StateDicts(Vec<Weights>),
}

type Parsed<T> = std::result::Result<T, String>;

impl Checkpoint {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let read_error = |source| NetworkError::Read { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(read_error)?.len();
        let name = path.display().to_string();
        let format = |reason: String| NetworkError::Format { name: name.clone(), reason };
        if size > MAX_BYTES {
            return Err(format(format!("{} GB are too much for a checkpoint", size >> 30)));
        }
        let bytes = crate::read_file(path)?;
        parse(&bytes).map_err(|reason| format(format!("not a checkpoint this program can read: {reason}")))
    }
}

/// Reads a checkpoint from memory.
pub(crate) fn parse(bytes: &[u8]) -> Parsed<Checkpoint> {
    if !bytes.starts_with(b"PK") && !bytes.starts_with(&[0x80]) {
        return Err("it is no file of PyTorch".into());
    }
    let (pickle, storages) = if bytes.starts_with(b"PK") { unzip(bytes)? } else { legacy(bytes)? };
    networks(&pickle.root, &storages)
}

/// Raw little-endian bytes of storages by their keys.
type Storages = HashMap<String, Vec<u8>>;

fn unzip(bytes: &[u8]) -> Parsed<(Pickle, Storages)> {
    let damaged = |error: zip::result::ZipError| format!("the archive is damaged ({error})");
    // PyTorch puts nothing before its archives. Looking for where one begins can be led astray by what it holds.
    let config = zip::read::Config { archive_offset: zip::read::ArchiveOffset::Known(0) };
    let mut archive = zip::ZipArchive::with_config(config, Cursor::new(bytes)).map_err(damaged)?;
    let names: Vec<String> = archive
        .file_names()
        .map(|name| name.map(|name| name.into_owned()))
        .collect::<std::result::Result<_, _>>()
        .map_err(damaged)?;
    let pickle = names
        .iter()
        .find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"))
        .ok_or("the archive holds no data.pkl")?;
    let folder = pickle.strip_suffix("data.pkl").unwrap_or_default().to_owned();
    let mut entry = |name: &str| -> Parsed<Vec<u8>> {
        let file = archive.by_name(name).map_err(damaged)?;
        let mut content = Vec::new();
        // Entries are stored or deflated; a small file must not become a large one.
        let limit = MAX_BYTES.min(bytes.len() as u64 * 64 + (1 << 20));
        let read = file
            .take(limit + 1)
            .read_to_end(&mut content)
            .map_err(|error| format!("the archive is damaged ({error})"))?;
        if read as u64 > limit { Err("the archive unpacks to an absurd size".into()) } else { Ok(content) }
    };
    if names.contains(&format!("{folder}byteorder")) && entry(&format!("{folder}byteorder"))? != b"little" {
        return Err("it was written on a big-endian machine".into());
    }
    let content = pickle::read(&entry(pickle)?)?;
    let prefix = format!("{folder}data/");
    let mut storages = Storages::new();
    for name in &names {
        if let Some(key) = name.strip_prefix(&prefix) {
            storages.insert(key.to_owned(), entry(name)?);
        }
    }
    Ok((content, storages))
}

fn legacy(bytes: &[u8]) -> Parsed<(Pickle, Storages)> {
    let mut rest = bytes;
    let mut next = || -> Parsed<Pickle> {
        let pickle = pickle::read(rest)?;
        rest = &rest[pickle.length..];
        Ok(pickle)
    };
    // Magic number, protocol version, facts of the system.
    if !matches!(next()?.root, Value::Opaque) || !matches!(next()?.root, Value::Int(1001)) {
        return Err("it is neither an archive nor of the format before PyTorch 1.6".into());
    }
    next()?;
    let content = next()?;
    let list = next()?;
    let Value::List(keys) = &list.root else {
        return Err("its list of storages is missing".into());
    };
    let mut known = HashMap::new();
    collect_storages(&content.root, &mut known, 0)?;
    let mut storages = Storages::new();
    for key in keys.borrow().iter() {
        let Value::Text(key) = key else {
            return Err("its list of storages is damaged".into());
        };
        let storage = known.get(&**key).ok_or("it holds a storage that no tensor uses")?;
        let (head, data) = rest.split_at_checked(8).ok_or("it ends in the middle")?;
        let length = u64::from_le_bytes(head.try_into().expect("eight bytes"));
        if length != storage.length as u64 {
            return Err("a storage has not the length its tensors need".into());
        }
        let size = storage.length.checked_mul(element(storage)?.0).ok_or("a storage is absurdly large")?;
        let (content, after) = data.split_at_checked(size).ok_or("it ends in the middle")?;
        storages.insert(key.to_string(), content.to_vec());
        rest = after;
    }
    Ok((content, storages))
}

/// Deepest nesting of lists and dicts that is followed.
const MAX_DEPTH: usize = 16;

fn collect_storages(value: &Value, known: &mut HashMap<String, Rc<Storage>>, depth: usize) -> Parsed<()> {
    if depth > MAX_DEPTH {
        return Err("it is nested too deeply".into());
    }
    match value {
        Value::Tensor(view) => {
            known.insert(view.storage.key.to_string(), view.storage.clone());
            Ok(())
        }
        Value::List(items) => items.borrow().iter().try_for_each(|item| collect_storages(item, known, depth + 1)),
        Value::Tuple(items) => items.iter().try_for_each(|item| collect_storages(item, known, depth + 1)),
        Value::Dict(items) => items.borrow().iter().try_for_each(|(_, item)| collect_storages(item, known, depth + 1)),
        _ => Ok(()),
    }
}

fn networks(root: &Value, storages: &Storages) -> Parsed<Checkpoint> {
    match root {
        Value::List(items) => {
            let dicts = items.borrow().iter().map(|item| state_dict(item, storages)).collect::<Parsed<_>>()?;
            Ok(Checkpoint::StateDicts(dicts))
        }
        Value::Dict(items) => {
            // Training programs put the state dict beside other things.
            const NAMES: [&str; 7] =
                ["model_state_dict", "state_dict", "params_ema", "params-ema", "params", "model", "net"];
            let named = |wanted: &str| {
                items.borrow().iter().find_map(|(key, value)| match (key, value) {
                    (Value::Text(key), Value::Dict(_)) if &**key == wanted => Some(value.clone()),
                    _ => None,
                })
            };
            let lone = || match &items.borrow()[..] {
                [(_, value @ Value::Dict(_))] => Some(value.clone()),
                _ => None,
            };
            let nested = NAMES.into_iter().find_map(named).or_else(lone);
            let weights = state_dict(nested.as_ref().unwrap_or(root), storages)?;
            Ok(Checkpoint::StateDict(weights))
        }
        _ => Err("it holds neither a state dict nor a list of state dicts".into()),
    }
}

fn state_dict(value: &Value, storages: &Storages) -> Parsed<Weights> {
    let Value::Dict(items) = value else {
        return Err("it holds something that is no state dict".into());
    };
    let mut weights = Weights::default();
    for (key, value) in items.borrow().iter() {
        match (key, value) {
            (Value::Text(name), Value::Tensor(view)) => {
                let weight = weight(view, storages).map_err(|reason| format!("{name}: {reason}"))?;
                weights.0.insert(name.to_string(), weight);
            }
            // Versions and counters that some programs keep among the weights.
            (Value::Text(_), Value::Int(_) | Value::Float | Value::Bool | Value::None) => {}
            (Value::Text(name), _) => return Err(format!("{name} is no tensor")),
            _ => return Err("a name in it is no text".into()),
        }
    }
    if weights.0.is_empty() { Err("it holds no tensors".into()) } else { Ok(weights) }
}

/// Reads a number.
type Decode = fn(&[u8]) -> f32;

/// Bytes of a number, and how it is read.
fn element(storage: &Storage) -> Parsed<(usize, Decode)> {
    fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
        bytes.try_into().expect("as many bytes as the number has")
    }
    Ok(match &*storage.class {
        "FloatStorage" => (4, |b| f32::from_le_bytes(fixed(b))),
        "DoubleStorage" => (8, |b| f64::from_le_bytes(fixed(b)) as f32),
        "HalfStorage" => (2, |b| half::f16::from_le_bytes(fixed(b)).to_f32()),
        "BFloat16Storage" => (2, |b| half::bf16::from_le_bytes(fixed(b)).to_f32()),
        "LongStorage" => (8, |b| i64::from_le_bytes(fixed(b)) as f32),
        "IntStorage" => (4, |b| i32::from_le_bytes(fixed(b)) as f32),
        "BoolStorage" | "ByteStorage" => (1, |b| f32::from(b[0])),
        other => return Err(format!("numbers of the kind {other} are not supported")),
    })
}

fn weight(view: &TensorView, storages: &Storages) -> Parsed<Weight> {
    let bytes = storages.get(&*view.storage.key).ok_or("its data is missing")?;
    let (size, decode) = element(&view.storage)?;
    let available = bytes.len() / size;
    let count = view.shape.iter().try_fold(1_usize, |n, &side| n.checked_mul(side)).ok_or("it is absurdly large")?;
    // The last element bounds all: strides are not negative.
    let last = view
        .shape
        .iter()
        .zip(&view.strides)
        .try_fold(view.offset, |at, (&side, &stride)| side.saturating_sub(1).checked_mul(stride)?.checked_add(at));
    if count > 0 && last.is_none_or(|last| last >= available) || count > available {
        return Err("its data is cut short".into());
    }
    let read = |at: usize| decode(&bytes[at * size..(at + 1) * size]);
    let values = (0..count)
        .map(|index| {
            let (mut at, mut rest) = (view.offset, index);
            for (&side, &stride) in view.shape.iter().zip(&view.strides).rev() {
                at += rest % side * stride;
                rest /= side;
            }
            read(at)
        })
        .collect();
    Ok(Weight { shape: view.shape.clone(), values })
}
