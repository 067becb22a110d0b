//! Devices of other machines, by Burn's remote backend. Without the cargo feature `remote` they can be named, not opened.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use burn::tensor::Device;

use crate::{NetworkError, Result, fault::RemoteFault};

/// Environment variable with the file of the token for addresses that name none.
const TOKEN_FILE: &str = "DUALRES_TOKEN_FILE";

/// Where a device of another machine is: `ws://host:port` (WebSocket, for loopback and trusted networks), or the id that
/// `dualres serve` prints (Iroh, encrypted), which `@host:port` may follow where no relay can be reached; and `#2` for a device
/// other than the first that is served there.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteAddress {
    /// What to call it.
    pub name: String,
    /// `ws://host:port` or an id.
    host: String,
    /// Place among the devices that are served there.
    index: usize,
    /// File that holds the token.
    token_file: Option<PathBuf>,
}

impl RemoteAddress {
    /// Reads an address. Its token lies in the file that the environment variable `DUALRES_TOKEN_FILE` names, if any does.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self> {
        let token_file = std::env::var_os(TOKEN_FILE).filter(|name| !name.is_empty()).map(PathBuf::from);
        Self::named(&format!("remote:{}", text.trim()), text, token_file)
    }

    /// An address with a name and the file of its token.
    ///
    /// # Errors
    /// If it is none.
    pub fn named(name: &str, text: &str, token_file: Option<PathBuf>) -> Result<Self> {
        let wrong =
            || NetworkError::Remote { name: name.to_owned(), fault: RemoteFault::Address(text.trim().to_owned()) };
        let (host, index) = match text.trim().rsplit_once('#') {
            Some((host, number)) => (host, number.parse::<usize>().ok().filter(|&n| n > 0).ok_or_else(wrong)? - 1),
            None => (text.trim(), 0),
        };
        let plain = host.strip_prefix("ws://");
        let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
        let is_place = |text: &str| text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port));
        let is_id = |text: &str| text.len() >= 32 && text.chars().all(|c| c.is_ascii_alphanumeric());
        let is_known = match (plain, host.split_once('@')) {
            (Some(place), _) => is_place(place),
            (None, Some((id, place))) => is_id(id) && place.parse::<std::net::SocketAddr>().is_ok(),
            (None, None) => is_id(host),
        };
        if !is_known {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), host: host.to_owned(), index, token_file })
    }

    /// Finds out whether the token can be read.
    ///
    /// # Errors
    /// If it cannot.
    pub fn check_token(&self) -> Result<()> {
        self.token().map(drop).map_err(|fault| NetworkError::Remote { name: self.name.clone(), fault })
    }

    fn token(&self) -> std::result::Result<Option<String>, RemoteFault> {
        self.token_file.as_deref().map(read_token).transpose()
    }
}

/// The token in a file: its first line.
fn read_token(path: &Path) -> std::result::Result<String, RemoteFault> {
    let fault = |reason: String| RemoteFault::Token { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    let token = text.lines().next().unwrap_or_default().trim().to_owned();
    if token.is_empty() { Err(fault("the file is empty".into())) } else { Ok(token) }
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        if self.index > 0 { write!(f, "#{}", self.index + 1) } else { Ok(()) }
    }
}

/// Tokens and where they lie are nobody's business in logs.
impl fmt::Debug for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteAddress({self})")
    }
}

static KNOWN: Mutex<Vec<RemoteAddress>> = Mutex::new(Vec::new());

/// Makes addresses known, so that their devices are listed and chosen by name, in place of those that were.
pub fn know(addresses: Vec<RemoteAddress>) {
    *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
}

pub(super) fn known() -> Vec<RemoteAddress> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Connects.
pub(super) fn open(address: &RemoteAddress) -> Result<Device> {
    connect(address).map_err(|fault| NetworkError::Remote { name: address.name.clone(), fault })
}

#[cfg(not(feature = "remote"))]
fn connect(address: &RemoteAddress) -> std::result::Result<Device, RemoteFault> {
    address.token()?;
    Err(RemoteFault::NotBuilt)
}

#[cfg(feature = "remote")]
fn connect(address: &RemoteAddress) -> std::result::Result<Device, RemoteFault> {
    use burn::remote::{ConnectError, EndpointId, IrohHost, IrohRelays, RemoteHost};
    let token = address.token()?;
    let host = match address.host.split_once('@') {
        _ if address.host.starts_with("ws://") => RemoteHost::websocket(&address.host),
        Some((id, place)) => {
            let wrong = || RemoteFault::Address(address.to_string());
            let id: EndpointId = id.parse().map_err(|_| wrong())?;
            let place = place.parse().map_err(|_| wrong())?;
            // Whoever names the place needs nobody to find it.
            RemoteHost::iroh(IrohHost::new(id).with_address(place).with_relays(IrohRelays::Disabled))
        }
        None => {
            let id: EndpointId = address.host.parse().map_err(|_| RemoteFault::Address(address.to_string()))?;
            RemoteHost::iroh(IrohHost::new(id))
        }
    };
    let host = match token {
        Some(token) => host.with_credential(token),
        None => host,
    };
    Device::remote_options(&host).device_index(address.index).init().map_err(|error| match error {
        ConnectError::Unauthorized => RemoteFault::Refused,
        ConnectError::IncompatibleProtocol { .. } => RemoteFault::Version,
        other => RemoteFault::Unreachable(other.to_string()),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_serve_prints_or_a_websocket() {
        let id = "a".repeat(64);
        for (text, index) in [
            ("ws://127.0.0.1:3000".to_owned(), 0),
            ("ws://gpu:3000#2".into(), 1),
            (id.clone(), 0),
            (format!("{id}@192.168.0.7:4000#3"), 2),
        ] {
            let address = RemoteAddress::named("there", &text, None).unwrap();
            assert_eq!((address.index, address.to_string()), (index, text));
        }
        let odd =
            ["", "gpu", "ws://gpu", "ws://:1", "ws://gpu:0", "ws://gpu:1#0", "http://gpu:1", &format!("{id}@gpu")];
        for text in odd {
            let said = RemoteAddress::named("there", text, None).unwrap_err().to_string();
            assert!(said.contains("not an address"), "{text}: {said}");
        }
    }

    #[test]
    fn tokens_are_the_first_line_of_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(matches!(read_token(&path), Err(RemoteFault::Token { .. })));
        std::fs::write(&path, "\n").unwrap();
        assert!(read_token(&path).unwrap_err().to_string().contains("empty"));
        std::fs::write(&path, "secret \nmore\n").unwrap();
        assert_eq!(read_token(&path).unwrap(), "secret");
    }

    #[test]
    fn known_devices_are_found_by_their_names() {
        let named = |name: &str| RemoteAddress::named(name, "ws://127.0.0.1:9", None).unwrap();
        know(vec![named("work"), named("Workshop"), named("workshop")]);
        assert_eq!(super::super::choose("work").unwrap().name, "work");
        assert_eq!(super::super::choose("WORKSHOP").unwrap().name, "Workshop");
        assert_eq!(super::super::choose("workshop").unwrap().name, "workshop");
        know(vec![named("workshop")]);
        let device = super::super::choose("worksh").unwrap();
        assert_eq!((device.name.as_str(), device.class), ("workshop", super::super::DeviceClass::Remote));
        // Nothing listens there, or the program has no remote devices.
        assert!(device.open().is_err());
        know(Vec::new());
    }
}
