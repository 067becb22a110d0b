//! `dualres serve`

use crate::{
    cli::ServeArgs,
    report::{Misuse, Outcome},
};

#[cfg(not(feature = "remote"))]
pub(crate) fn run(_: &ServeArgs) -> anyhow::Result<Outcome> {
    Err(Misuse(dualres_network::device::RemoteFault::NotBuilt.to_string()).into())
}

#[cfg(feature = "remote")]
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<Outcome> {
    serving::run(args)
}

#[cfg(feature = "remote")]
mod serving {
    use std::{
        fs,
        io::Write as _,
        path::{Path, PathBuf},
    };

    use anyhow::Context as _;
    use dualres_kernels::remote::{
        IrohIdentity, IrohRelays, IrohTransport, TokenAuthorizer, Transport, WebSocketTransport,
    };

    use super::{Misuse, Outcome, ServeArgs};
    use crate::{paths::Paths, report};

    pub(super) fn run(args: &ServeArgs) -> anyhow::Result<Outcome> {
        let paths = Paths::of_user();
        let device = crate::commands::device(&args.device)?;
        let token_file = args.token_file.clone().unwrap_or_else(|| paths.config.join("serve.token"));
        let token = token(&token_file)?;
        let authorizer = TokenAuthorizer::new(token).map_err(|error| Misuse(error.to_string()))?;
        let server = dualres_kernels::remote::server(vec![device.open()?]).with_authorizer(authorizer);
        let (transport, address): (Transport, String) = match args.websocket {
            Some(place) => {
                let listener = std::net::TcpListener::bind(place)
                    .with_context(|| format!("cannot listen on {place}; choose another address or port"))?;
                let place = listener.local_addr().context("no address")?;
                if !place.ip().is_loopback() {
                    report::say("warning: WebSocket is not encrypted: whoever reads the network sees images and token");
                }
                (WebSocketTransport::from_listener(listener).into(), format!("ws://{place}"))
            }
            None => {
                let key = paths.data.join("serve.key");
                fs::create_dir_all(&paths.data)
                    .with_context(|| format!("cannot make the folder {}", paths.data.display()))?;
                let identity = IrohIdentity::load_or_create(&key)
                    .with_context(|| format!("cannot read or write the key of this server: {}", key.display()))?;
                let mut transport = IrohTransport::new(identity);
                let mut address = transport.id().to_string();
                if let Some(port) = args.port {
                    // Told before the address is.
                    std::net::UdpSocket::bind(("0.0.0.0", port))
                        .with_context(|| format!("cannot listen on UDP port {port}; choose another one"))?;
                    transport = transport.with_port(port);
                    if args.no_relay {
                        transport = transport.with_relays(IrohRelays::Disabled);
                        address += &format!("@ADDRESS:{port}");
                    }
                }
                (transport.into(), address)
            }
        };
        report::line(&format!("serving {} until Ctrl-C", device.name));
        report::line(&format!("address: {address}"));
        report::line(&format!("token file: {}", token_file.display()));
        let replaced = if args.no_relay { "; in place of ADDRESS, this machine's IP address" } else { "" };
        report::line(&format!("on the other machine, with a copy of the token file{replaced}:"));
        report::line(&format!("  dualres devices add NAME {address} --token-file FILE"));
        report::line("  dualres upscale photo.jpg -o large.png --device NAME");
        server.serve(transport).context("the server stopped")?;
        Ok(Outcome::Done)
    }

    /// The token in a file, which is made with a random one, for this user alone, if it is not there.
    fn token(path: &Path) -> anyhow::Result<String> {
        match fs::read_to_string(path) {
            Ok(text) => {
                let token = text.lines().next().unwrap_or_default().trim().to_owned();
                if token.is_empty() {
                    return Err(Misuse(format!("the token file is empty: {}", path.display())).into());
                }
                Ok(token)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let token: String =
                    IrohIdentity::random().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                let cannot = || format!("cannot write the token file {}", path.display());
                if let Some(folder) = path.parent().filter(|folder| *folder != PathBuf::new()) {
                    fs::create_dir_all(folder).with_context(cannot)?;
                }
                let mut options = fs::OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                options.open(path).and_then(|mut file| writeln!(file, "{token}")).with_context(cannot)?;
                Ok(token)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read the token file {}", path.display())),
        }
    }
}
