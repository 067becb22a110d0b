//! A person at the X server: eyes, keys, and a file that is dragged over from another program.

use std::{
    collections::HashSet,
    path::Path,
    time::{Duration, Instant},
};

use x11rb::{
    CURRENT_TIME,
    connection::Connection,
    protocol::{
        Event,
        xproto::{
            Atom, AtomEnum, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ClientMessageEvent, ConfigureWindowAux,
            ConnectionExt, CreateWindowAux, EventMask, ImageFormat, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT,
            MOTION_NOTIFY_EVENT, MapState, PropMode, SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, Window, WindowClass,
        },
        xtest::ConnectionExt as _,
    },
    rust_connection::RustConnection,
    wrapper::ConnectionExt as _,
};

use super::{server::Server, wait_for};

pub(crate) struct User {
    x: RustConnection,
    root: Window,
    window: Window,
    source: Window,
    /// What is dragged, as a list of addresses.
    dragged: String,
}

/// Red, green and blue bytes of the screen.
pub(crate) type Picture = Vec<u8>;

/// Number of colours in a picture.
pub(crate) fn colours(picture: &Picture) -> usize {
    picture.chunks_exact(3).collect::<HashSet<_>>().len()
}

impl User {
    /// Waits for the window of a title.
    pub(crate) fn at(server: &Server, title: &str) -> Self {
        let (x, screen) = RustConnection::connect(Some(&server.display)).unwrap();
        let root = x.setup().roots[screen].root;
        let mut window = None;
        wait_for("the window", || {
            window = find_window(&x, root, title);
            let attributes = window.and_then(|window| x.get_window_attributes(window).ok()?.reply().ok());
            attributes.is_some_and(|attributes| attributes.map_state == MapState::VIEWABLE)
        });
        let source = x.generate_id().unwrap();
        x.create_window(0, source, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &CreateWindowAux::new()).unwrap();
        let mut user = Self { x, root, window: window.unwrap(), source, dragged: String::new() };
        user.focus();
        user
    }

    /// Without a window manager nobody else gives the window the keyboard.
    pub(crate) fn focus(&mut self) {
        self.x.set_input_focus(InputFocus::PARENT, self.window, CURRENT_TIME).unwrap();
        self.x.sync().unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }

    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let size = ConfigureWindowAux::new().x(0).y(0).width(width).height(height);
        self.x.configure_window(self.window, &size).unwrap();
        self.x.sync().unwrap();
    }

    /// Presses keys one after the other and lets them go in reverse; by X names.
    pub(crate) fn keys(&mut self, names: &[&str]) {
        let codes: Vec<u8> = names.iter().map(|name| self.code(name)).collect();
        let press = |kind, code| {
            self.x.xtest_fake_input(kind, code, CURRENT_TIME, self.root, 0, 0, 0).unwrap();
            self.x.sync().unwrap();
            std::thread::sleep(Duration::from_millis(30));
        };
        codes.iter().for_each(|&code| press(KEY_PRESS_EVENT, code));
        codes.iter().rev().for_each(|&code| press(KEY_RELEASE_EVENT, code));
        std::thread::sleep(Duration::from_millis(150));
    }

    /// Clicks at a place of the window.
    pub(crate) fn click(&mut self, x: i16, y: i16) {
        let fake = |kind, detail| {
            self.x.xtest_fake_input(kind, detail, CURRENT_TIME, self.root, x, y, 0).unwrap();
            self.x.sync().unwrap();
            std::thread::sleep(Duration::from_millis(60));
        };
        fake(MOTION_NOTIFY_EVENT, 0);
        fake(BUTTON_PRESS_EVENT, 1);
        fake(BUTTON_RELEASE_EVENT, 1);
        std::thread::sleep(Duration::from_millis(150));
    }

    fn code(&self, name: &str) -> u8 {
        let symbol = match name {
            "Control_L" => 0xffe3,
            "Return" => 0xff0d,
            "Escape" => 0xff1b,
            "Prior" => 0xff55,
            "F1" => 0xffbe,
            other => u32::from(*other.as_bytes().first().unwrap()),
        };
        let setup = self.x.setup();
        let count = setup.max_keycode - setup.min_keycode + 1;
        let mapping = self.x.get_keyboard_mapping(setup.min_keycode, count).unwrap().reply().unwrap();
        let rows = mapping.keysyms.chunks(mapping.keysyms_per_keycode.into());
        let index = rows.into_iter().position(|row| row.first() == Some(&symbol)).unwrap();
        setup.min_keycode + index as u8
    }

    /// Waits until the screen has stood still for a moment.
    pub(crate) fn settle(&mut self) {
        let start = Instant::now();
        let mut since = Instant::now();
        let mut last = self.look();
        // A cursor that blinks must not hold the test up for ever.
        while since.elapsed() < Duration::from_millis(1200) && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(150));
            let now = self.look();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
    }

    /// What is on the window now.
    pub(crate) fn look(&self) -> Picture {
        let size = self.x.get_geometry(self.window).unwrap().reply().unwrap();
        let get = self.x.get_image(ImageFormat::Z_PIXMAP, self.window, 0, 0, size.width, size.height, !0).unwrap();
        get.reply().unwrap().data.chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect()
    }

    /// Takes a picture of the window, and keeps it as a file if `DUALRES_SCREENSHOTS` names a folder.
    pub(crate) fn screenshot(&mut self, name: &str) -> Picture {
        let picture = self.look();
        if let Some(folder) = std::env::var_os("DUALRES_SCREENSHOTS") {
            // Tests run in the folder of their package.
            let folder = super::project(".").join(folder);
            let size = self.x.get_geometry(self.window).unwrap().reply().unwrap();
            let (width, height) = (usize::from(size.width), usize::from(size.height));
            let plane = |c: usize| {
                let samples = picture.iter().skip(c).step_by(3).map(|&byte| f32::from(byte)).collect();
                dualres_imaging::Plane::new(width, height, samples)
            };
            let image = dualres_imaging::Picture::from_planes((0..3).map(plane).collect());
            std::fs::create_dir_all(&folder).unwrap();
            dualres_imaging::write(
                &folder.join(format!("{name}.jpg")),
                &image,
                dualres_imaging::EncodeOptions { quality: 92, ..Default::default() },
            )
            .unwrap();
        }
        picture
    }

    fn atom(&self, name: &str) -> Atom {
        self.x.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom
    }

    fn send(&self, kind: &str, data: [u32; 5]) {
        let event = ClientMessageEvent::new(32, self.window, self.atom(kind), data);
        self.x.send_event(false, self.window, EventMask::NO_EVENT, event).unwrap();
        self.x.sync().unwrap();
    }

    /// Holds files over the middle of the window, as a file manager does (XDND 5).
    pub(crate) fn drag_over(&mut self, files: &[&Path]) {
        let encode = |path: &Path| {
            let text = path.display().to_string();
            let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
            let mut address = String::from("file://");
            for c in text.chars() {
                if plain(c) {
                    address.push(c);
                } else {
                    let mut bytes = [0; 4];
                    c.encode_utf8(&mut bytes).bytes().for_each(|b| address += &format!("%{b:02X}"));
                }
            }
            address
        };
        self.dragged = files.iter().map(|path| encode(path) + "\r\n").collect();
        self.x.set_selection_owner(self.source, self.atom("XdndSelection"), CURRENT_TIME).unwrap();
        let list = self.atom("text/uri-list");
        self.send("XdndEnter", [self.source, 5 << 24, list, 0, 0]);
        let copy = self.atom("XdndActionCopy");
        self.send("XdndPosition", [self.source, 0, (500 << 16) | 300, CURRENT_TIME, copy]);
        let status = self.serve_until("XdndStatus");
        assert_eq!(status.data.as_data32()[1] & 1, 1, "the window takes the files");
    }

    /// Lets the files go.
    pub(crate) fn let_go(&mut self) {
        self.send("XdndDrop", [self.source, 0, CURRENT_TIME, 0, 0]);
        self.serve_until("XdndFinished");
    }

    /// Hands out what is dragged until the window sends a message of a kind.
    fn serve_until(&self, kind: &str) -> ClientMessageEvent {
        let wanted = self.atom(kind);
        let start = Instant::now();
        loop {
            match self.x.poll_for_event().unwrap() {
                Some(Event::SelectionRequest(request)) => {
                    let data = self.dragged.as_bytes();
                    self.x
                        .change_property8(PropMode::REPLACE, request.requestor, request.property, request.target, data)
                        .unwrap();
                    let notify = SelectionNotifyEvent {
                        response_type: SELECTION_NOTIFY_EVENT,
                        sequence: 0,
                        time: request.time,
                        requestor: request.requestor,
                        selection: request.selection,
                        target: request.target,
                        property: request.property,
                    };
                    self.x.send_event(false, request.requestor, EventMask::NO_EVENT, notify).unwrap();
                    self.x.sync().unwrap();
                }
                Some(Event::ClientMessage(message)) if message.type_ == wanted => return message,
                Some(_) => {}
                None => {
                    assert!(start.elapsed() < Duration::from_secs(60), "waited for {kind} in vain");
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
}

/// The window of a title below `parent` that takes drops.
fn find_window(x: &RustConnection, parent: Window, title: &str) -> Option<Window> {
    let tree = x.query_tree(parent).ok()?.reply().ok()?;
    tree.children.iter().find_map(|&window| {
        let name = x.get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 64).ok()?.reply().ok()?;
        if name.value == title.as_bytes() { Some(window) } else { find_window(x, window, title) }
    })
}
