//! Devices of another machine, which here is this one: the same pictures and the same networks as on its own device, refusals, and
//! a server that is gone in the middle.
#![cfg(feature = "remote")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use dualres_imaging::{Picture, Plane};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A folder with pictures, and a home that nobody else uses.
struct World(tempfile::TempDir);

impl World {
    fn new(pictures: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        for index in 0..pictures {
            let plane = |c: usize| {
                let sample = |i: usize| ((i % 90) * (3 + c) + (i / 90) * (5 + index)) as f32 % 256.0;
                Plane::new(90, 70, (0..90 * 70).map(sample).collect())
            };
            let picture = Picture::from_planes((0..3).map(plane).collect());
            dualres_imaging::write(&folder.path().join(format!("in/{index}.png")), &picture, Default::default())
                .unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn dualres(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dualres"));
        command.args(arguments).stdin(Stdio::null()).env("DUALRES_HOME", self.path("home"));
        command.env("DUALRES_TOKEN_FILE", self.path("token"));
        command
    }

    fn serve(&self, more: &[&str]) -> Server {
        let mut arguments = vec!["serve", "--device", "cpu", "--token-file"];
        let token = self.path("token");
        arguments.push(text(&token));
        arguments.extend(more);
        let mut child = self.dualres(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| line.unwrap().strip_prefix("address: ").map(str::to_owned)).unwrap();
        // What else it says must not fill the pipe.
        std::thread::Builder::new().spawn(move || lines.for_each(drop)).unwrap();
        let server = Server { child, address };
        std::thread::sleep(Duration::from_millis(300));
        server
    }

    fn upscale(&self, out: &str, device: &str) -> Command {
        self.dualres(&[
            "upscale",
            text(&self.path("in")),
            "-o",
            text(&self.path(out)),
            "--model",
            "x2",
            "--device",
            device,
        ])
    }

    /// Results by name.
    fn results(&self, out: &str) -> Vec<(String, Vec<u8>)> {
        let files = std::fs::read_dir(self.path(out)).unwrap().map(|file| file.unwrap().path());
        let pictures = files.filter(|path| path.extension().is_some_and(|ending| ending == "png"));
        let mut all: Vec<_> = pictures
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
            .collect();
        all.sort();
        all
    }
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn device(&self) -> String {
        format!("remote:{}", self.address.replace("ADDRESS", "127.0.0.1"))
    }

    fn port(&self) -> String {
        self.address.rsplit(':').next().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_remote_device_gives_the_same_bytes() {
    let world = World::new(2);
    assert!(world.upscale("here", "cpu").output().unwrap().status.success());
    let server = world.serve(&["--websocket", "127.0.0.1:0"]);
    let there = world.upscale("there", &server.device()).output().unwrap();
    assert!(there.status.success(), "{}", said(&there));
    assert!(said(&there).contains(" on remote:ws://127.0.0.1:"), "{}", said(&there));
    assert_eq!(world.results("there"), world.results("here"));
    assert_eq!(world.results("here").len(), 2);
    // By a name, and with a token of its own.
    let add = |name: &str, token: &str| {
        let token = world.path(token);
        let added =
            world.dualres(&["devices", "add", name, &server.address, "--token-file", text(&token)]).output().unwrap();
        (added.status.code(), said(&added))
    };
    assert_eq!(add("workshop", "token").0, Some(0));
    let named = world.upscale("named", "workshop").env_remove("DUALRES_TOKEN_FILE").output().unwrap();
    assert!(named.status.success() && said(&named).contains(" on workshop"), "{}", said(&named));
    assert!(said(&world.dualres(&["devices"]).output().unwrap()).contains("workshop"));
    std::fs::write(world.path("wrong"), "not the token\n").unwrap();
    assert_eq!(add("wrong", "wrong").0, Some(0));
    let refused = world.upscale("refused", "wrong").output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("refused the token"), "{}", said(&refused));
    let without = world.upscale("without", &server.device()).env_remove("DUALRES_TOKEN_FILE").output().unwrap();
    assert!(said(&without).contains("refused the token"), "{}", said(&without));
    assert_eq!(world.dualres(&["devices", "remove", "wrong"]).output().unwrap().status.code(), Some(0));
    let (code, told) = add("CPU", "token");
    assert!(code == Some(2) && told.contains("cannot be the name"), "{told}");
}

#[test]
fn encrypted_connections_work_without_a_relay() {
    let world = World::new(1);
    assert!(world.upscale("here", "cpu").output().unwrap().status.success());
    // A port that was free a moment ago.
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let server = world.serve(&["--port", &port, "--no-relay"]);
    let there = world.upscale("there", &server.device()).output().unwrap();
    assert!(there.status.success(), "{}", said(&there));
    assert_eq!(world.results("there"), world.results("here"));
}

#[test]
fn a_server_that_is_gone_costs_nothing_that_was_done() {
    let world = World::new(12);
    assert!(world.upscale("here", "cpu").output().unwrap().status.success());
    let server = world.serve(&["--websocket", "127.0.0.1:0"]);
    let (device, place) = (server.device(), format!("127.0.0.1:{}", server.port()));
    let running = world.upscale("there", &device).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !world.path("there").exists() || world.results("there").len() < 3 {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(server);
    let stopped = running.wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(1));
    assert!(said(&stopped).contains("the connection was lost"), "{}", said(&stopped));
    assert!(!said(&stopped).contains("panicked"), "{}", said(&stopped));
    let done = world.results("there").len();
    assert!(done < 12, "it was stopped in the middle");
    // Nobody there.
    let alone = world.upscale("there", &device).output().unwrap();
    assert!(alone.status.code() == Some(1) && said(&alone).contains("does not answer"), "{}", said(&alone));
    let _server = world.serve(&["--websocket", &place]);
    let again = world.upscale("there", &device).output().unwrap();
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(world.results("there"), world.results("here"));
}

#[test]
fn training_goes_on_where_the_server_was_lost() {
    let world = World::new(5);
    let train = |out: &str, device: &str| {
        let (data, out) = (world.path("in"), world.path(out));
        let steps = ["--steps", "40", "--validate-every", "10", "--patch", "12", "--batch", "2", "--seed", "3"];
        let mut command = world.dualres(&["train", "--init", "x2", "--data", text(&data), "-o", text(&out)]);
        command.args(["--validation", text(&data), "--device", device]).args(steps);
        command
    };
    assert!(train("here", "cpu").output().unwrap().status.success());
    let server = world.serve(&["--websocket", "127.0.0.1:0"]);
    let (device, place) = (server.device(), format!("127.0.0.1:{}", server.port()));
    let running = train("there", &device).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let rows = |out: &str| {
        let text = std::fs::read_to_string(world.path(out).join("metrics.csv")).unwrap_or_default();
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let start = Instant::now();
    while rows("there").is_empty() {
        assert!(start.elapsed() < Duration::from_secs(120), "no row");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(server);
    let stopped = running.wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(1), "{}", said(&stopped));
    assert!(said(&stopped).contains("the connection was lost"), "{}", said(&stopped));
    let _server = world.serve(&["--websocket", &place]);
    let again = train("there", &device).output().unwrap();
    assert!(again.status.success(), "{}", said(&again));
    let psnr = |out: &str| -> f64 {
        let last = rows(out).pop().unwrap();
        last.split(',').nth(7).unwrap().parse().unwrap()
    };
    assert!((psnr("here") - psnr("there")).abs() < 0.02, "{} here, {} there", psnr("here"), psnr("there"));
}

/// Two devices take pictures from one queue, and each picture is made once.
#[test]
fn devices_share_a_batch() {
    let world = World::new(12);
    assert!(world.upscale("here", "cpu").output().unwrap().status.success());
    let server = world.serve(&["--websocket", "127.0.0.1:0"]);
    let both = world.upscale("both", &format!("cpu,{}", server.device())).output().unwrap();
    assert!(both.status.success(), "{}", said(&both));
    let count = |part: &str| said(&both).matches(part).count();
    assert!(count(" on CPU") > 0 && count(" on remote:") > 0, "{}", said(&both));
    assert_eq!(count(" on CPU") + count(" on remote:"), 12);
    assert_eq!(world.results("both"), world.results("here"));
    // The other one goes on when one is lost; what that one was at is done by the next run.
    let one =
        world.upscale("one", &format!("cpu,{}", server.device())).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut one = one.unwrap();
    let start = Instant::now();
    while !world.path("one").exists() || world.results("one").is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(server);
    one.wait().unwrap();
    // What the lost one was at was done by the other, unless that had nothing left to do by then.
    assert!(world.results("one").len() >= 11);
    assert!(world.upscale("one", "cpu").output().unwrap().status.success());
    assert_eq!(world.results("one"), world.results("here"));
}
