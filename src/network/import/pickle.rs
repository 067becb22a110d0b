//! The part of Python's pickle format that state dicts use, read as data. Nothing is imported or called.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

/// A value of a pickle.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    None,
    Bool,
    Int(i64),
    Float,
    Text(Rc<str>),
    Tuple(Rc<[Value]>),
    List(Rc<RefCell<Vec<Value>>>),
    Dict(Rc<RefCell<Vec<(Value, Value)>>>),
    /// A name of a module, never looked up.
    Global(Rc<str>, Rc<str>),
    /// A reference to a storage beside the pickle.
    Storage(Rc<Storage>),
    /// A view of a storage.
    Tensor(Rc<TensorView>),
    /// Something that tensors do not need.
    Opaque,
}

/// A block of numbers.
#[derive(Debug)]
pub(crate) struct Storage {
    /// Class of the storage, such as `FloatStorage`.
    pub(crate) class: Rc<str>,
    pub(crate) key: Rc<str>,
    pub(crate) length: usize,
}

/// A tensor over a storage.
#[derive(Debug)]
pub(crate) struct TensorView {
    pub(crate) storage: Rc<Storage>,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

/// Nesting and stack that no honest checkpoint comes near.
const MAX_STACK: usize = 1 << 20;

type Parsed<T> = Result<T, String>;

/// A pickle that was read.
pub(crate) struct Pickle {
    pub(crate) root: Value,
    /// Length in bytes.
    pub(crate) length: usize,
    _containers: Containers,
}

/// Reads one pickle.
pub(crate) fn read(bytes: &[u8]) -> Parsed<Pickle> {
    let mut machine = Machine {
        bytes,
        position: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        containers: Containers::default(),
    };
    let root = machine.run()?;
    Ok(Pickle { root, length: machine.position, _containers: std::mem::take(&mut machine.containers) })
}

/// Every value that holds others, in the order they were made. A pickle may hold itself, which would never be freed, and be
/// nested so deeply that freeing it would overflow the stack: so they are emptied and freed from here, one by one, after
/// everything else that holds them.
#[derive(Default)]
struct Containers(Vec<Value>);

impl Drop for Containers {
    fn drop(&mut self) {
        for value in &self.0 {
            match value {
                Value::List(list) => drop(list.take()),
                Value::Dict(dict) => drop(dict.take()),
                _ => {}
            }
        }
        // What is inside was made before.
        while self.0.pop().is_some() {}
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    position: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
    /// The last field, so that it is freed last.
    containers: Containers,
}

impl Machine<'_> {
    fn run(&mut self) -> Parsed<Value> {
        loop {
            if self.stack.len() > MAX_STACK {
                return Err("it is nested too deeply".into());
            }
            let code = self.take(1)?[0];
            match code {
                b'.' => return self.pop(),
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'N' => self.stack.push(Value::None),
                0x88 => self.stack.push(Value::Bool),
                0x89 => self.stack.push(Value::Bool),
                b'K' => self.push_int(1)?,
                b'M' => self.push_int(2)?,
                b'J' => {
                    let value = i32::from_le_bytes(self.array()?);
                    self.stack.push(Value::Int(value.into()));
                }
                0x8a => {
                    let length = self.unsigned(1)?;
                    let value = self.long(length)?;
                    self.stack.push(value);
                }
                b'G' => {
                    self.take(8)?;
                    self.stack.push(Value::Float);
                }
                b'X' => self.push_text(4)?,
                0x8c => self.push_text(1)?,
                0x8d => self.push_text(8)?,
                b'U' => self.push_text(1)?,
                b'T' => self.push_text(4)?,
                b'B' => {
                    let length = self.unsigned(4)?;
                    self.take(length)?;
                    self.stack.push(Value::Opaque);
                }
                b'C' => {
                    let length = self.unsigned(1)?;
                    self.take(length)?;
                    self.stack.push(Value::Opaque);
                }
                b'}' => self.push_container(Value::Dict(Rc::default())),
                b']' => self.push_container(Value::List(Rc::default())),
                b')' => self.stack.push(Value::Tuple(Rc::new([]))),
                0x85 => self.push_tuple(1)?,
                0x86 => self.push_tuple(2)?,
                0x87 => self.push_tuple(3)?,
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push_container(Value::Tuple(items.into()));
                }
                b'q' => self.memoize(1)?,
                b'r' => self.memoize(4)?,
                0x94 => {
                    let top = self.top()?.clone();
                    self.memo.insert(self.memo.len(), top);
                }
                b'h' => self.recall(1)?,
                b'j' => self.recall(4)?,
                b'a' => {
                    let item = self.pop()?;
                    self.extend_list(vec![item])?;
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.extend_list(items)?;
                }
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.extend_dict(vec![key, value])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.extend_dict(items)?;
                }
                b'c' => {
                    let (module, name) = (self.text_line()?, self.text_line()?);
                    self.stack.push(Value::Global(module, name));
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Value::Text(module), Value::Text(name)) = (module, name) else {
                        return Err("a name in it is no text".into());
                    };
                    self.stack.push(Value::Global(module, name));
                }
                b'R' | 0x81 => {
                    let arguments = self.pop()?;
                    let callable = self.pop()?;
                    self.push_container(construct(&callable, &arguments)?);
                }
                // State of an object; ordered dicts carry attributes that no tensor needs.
                b'b' => drop(self.pop()?),
                b'Q' => {
                    let id = self.pop()?;
                    self.stack.push(storage(&id)?);
                }
                other => return Err(format!("it uses the pickle instruction {other:#04x}, which no state dict needs")),
            }
        }
    }

    fn take(&mut self, count: usize) -> Parsed<&[u8]> {
        let end = self.position.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or("it ends in the middle")?;
        let taken = &self.bytes[self.position..end];
        self.position = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as many bytes as taken"))
    }

    fn unsigned(&mut self, bytes: usize) -> Parsed<usize> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte)))
    }

    fn long(&mut self, length: usize) -> Parsed<Value> {
        let bytes = self.take(length)?;
        // Larger integers are magic numbers, of which only the presence matters.
        let Some(&last) = bytes.last() else {
            return Ok(Value::Int(0));
        };
        if length > 8 {
            return Ok(Value::Opaque);
        }
        let fill = if last & 0x80 != 0 { 0xff } else { 0 };
        let mut wide = [fill; 8];
        wide[..length].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(wide)))
    }

    fn text_line(&mut self) -> Parsed<Rc<str>> {
        let rest = &self.bytes[self.position..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("it ends in the middle")?;
        let text = Rc::from(String::from_utf8_lossy(&rest[..length]));
        self.position += length + 1;
        Ok(text)
    }

    fn push_int(&mut self, bytes: usize) -> Parsed<()> {
        let value = self.unsigned(bytes)?;
        self.stack.push(Value::Int(value as i64));
        Ok(())
    }

    fn push_text(&mut self, length_bytes: usize) -> Parsed<()> {
        let length = self.unsigned(length_bytes)?;
        let text = Rc::from(String::from_utf8_lossy(self.take(length)?));
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn push_tuple(&mut self, length: usize) -> Parsed<()> {
        let start = self.stack.len().checked_sub(length).ok_or("its stack runs empty")?;
        let items = self.stack.split_off(start);
        self.push_container(Value::Tuple(items.into()));
        Ok(())
    }

    fn push_container(&mut self, value: Value) {
        self.containers.0.push(value.clone());
        self.stack.push(value);
    }

    fn top(&self) -> Parsed<&Value> {
        self.stack.last().ok_or_else(|| "its stack runs empty".into())
    }

    fn pop(&mut self) -> Parsed<Value> {
        self.stack.pop().ok_or_else(|| "its stack runs empty".into())
    }

    fn pop_to_mark(&mut self) -> Parsed<Vec<Value>> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or("a mark is missing in it")?;
        Ok(self.stack.split_off(mark))
    }

    fn memoize(&mut self, bytes: usize) -> Parsed<()> {
        let key = self.unsigned(bytes)?;
        let top = self.top()?.clone();
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, bytes: usize) -> Parsed<()> {
        let key = self.unsigned(bytes)?;
        let value = self.memo.get(&key).ok_or("it refers to something that is not there")?.clone();
        self.stack.push(value);
        Ok(())
    }

    fn extend_list(&mut self, items: Vec<Value>) -> Parsed<()> {
        match self.top()? {
            Value::List(list) => list.borrow_mut().extend(items),
            Value::Opaque => {}
            _ => return Err("it appends to something that is no list".into()),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: Vec<Value>) -> Parsed<()> {
        match self.top()? {
            Value::Dict(dict) => {
                let mut items = items.into_iter();
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    dict.borrow_mut().push((key, value));
                }
            }
            Value::Opaque => {}
            _ => return Err("it sets items of something that is no dict".into()),
        }
        Ok(())
    }
}

/// What a constructor call stands for; unknown ones give nothing, and are never called.
fn construct(callable: &Value, arguments: &Value) -> Parsed<Value> {
    let (Value::Global(module, name), Value::Tuple(arguments)) = (callable, arguments) else {
        return Ok(Value::Opaque);
    };
    match (&**module, &**name) {
        ("collections", "OrderedDict") => Ok(Value::Dict(Rc::default())),
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => tensor(arguments),
        ("torch._utils", "_rebuild_parameter") => Ok(arguments.first().cloned().unwrap_or(Value::Opaque)),
        _ => Ok(Value::Opaque),
    }
}

fn tensor(arguments: &[Value]) -> Parsed<Value> {
    let wrong = || "a tensor in it has a form that is not known".to_owned();
    let [Value::Storage(storage), Value::Int(offset), Value::Tuple(shape), Value::Tuple(strides), ..] = arguments
    else {
        return Err(wrong());
    };
    let lengths = |values: &[Value]| {
        values
            .iter()
            .map(|value| match value {
                Value::Int(length) => usize::try_from(*length).map_err(|_| wrong()),
                _ => Err(wrong()),
            })
            .collect::<Parsed<Vec<_>>>()
    };
    let view = TensorView {
        storage: storage.clone(),
        offset: usize::try_from(*offset).map_err(|_| wrong())?,
        shape: lengths(shape)?,
        strides: lengths(strides)?,
    };
    if view.shape.len() != view.strides.len() || view.shape.len() > 8 {
        return Err(wrong());
    }
    Ok(Value::Tensor(Rc::new(view)))
}

fn storage(id: &Value) -> Parsed<Value> {
    if let Value::Tuple(parts) = id
        && let [Value::Text(kind), Value::Global(_, class), Value::Text(key), _, Value::Int(length), ..] = &**parts
        && &**kind == "storage"
        && let Ok(length) = usize::try_from(*length)
    {
        return Ok(Value::Storage(Rc::new(Storage { class: class.clone(), key: key.clone(), length })));
    }
    Err("it refers to data in a way that is not known".into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// Found by fuzzing: a list that holds itself was never freed.
    #[test]
    fn a_pickle_that_holds_itself_is_freed() {
        // A list, remembered, appended to itself.
        let pickle = read(b"]q\x00h\x00a.").unwrap();
        let Value::List(list) = &pickle.root else { panic!("a list") };
        let watched = Rc::downgrade(list);
        drop(pickle);
        assert!(watched.upgrade().is_none());
    }

    #[test]
    fn nesting_of_any_depth_is_freed_without_a_stack_of_that_depth() {
        for (open, close) in [(&b"]"[..], &b"a"[..]), (b")", b"\x85")] {
            let depth = 500_000;
            let mut bytes = open.repeat(if open == b"]" { depth } else { 1 });
            bytes.extend(close.repeat(depth - 1));
            bytes.push(b'.');
            drop(read(&bytes).unwrap());
            // Cut short: what has been read is freed too.
            bytes.pop();
            assert!(read(&bytes).is_err());
        }
    }
}
