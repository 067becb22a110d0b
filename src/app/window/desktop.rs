//! What the desktop asks of all programs: how large text is to be, and whether things may move.
//!
//! Desktops under Linux tell it by the settings of their portal. Elsewhere the scale of the screen, which egui follows by itself, is
//! all that is followed.

use eframe::egui::{Vec2, ViewportCommand};

use super::screen::MIN_SIZE;

/// What the desktop asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wishes {
    /// How many times as large as usual text is to be.
    pub(super) text_scale: f32,
    /// Whether nothing is to move that need not.
    pub(super) reduced_motion: bool,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { text_scale: 1.0, reduced_motion: false }
    }
}

impl Wishes {
    /// Has a window follow it.
    pub(super) fn grant(self, ctx: &eframe::egui::Context) {
        ctx.set_zoom_factor(self.text_scale);
        // As many points as ever, of those that are larger now; no more than the screen has.
        let screen = ctx.input(|input| input.viewport().monitor_size);
        let least = Vec2::from(MIN_SIZE).min(screen.unwrap_or(Vec2::INFINITY));
        ctx.send_viewport_cmd(ViewportCommand::MinInnerSize(least));
        let usual = eframe::egui::Style::default();
        ctx.all_styles_mut(|style| {
            style.animation_time = if self.reduced_motion { 0.0 } else { usual.animation_time };
            style.scroll_animation = match self.reduced_motion {
                true => eframe::egui::style::ScrollAnimation::none(),
                false => usual.scroll_animation,
            };
        });
    }
}

#[cfg(target_os = "linux")]
pub(super) use portal::{notify, show_progress, watch};

/// Says what ends the program where there may be no terminal that it could be read on.
pub(super) fn say_last(text: &str) {
    const LONGEST: std::time::Duration = std::time::Duration::from_secs(2);
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        return;
    }
    let begun = std::time::Instant::now();
    let showing = notify(text.to_owned());
    while showing.as_ref().is_some_and(|showing| !showing.is_finished()) && begun.elapsed() < LONGEST {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Has the desktop show a message beside its clock, in a thread. Here the entry in the bar of tasks says it alone.
#[cfg(not(target_os = "linux"))]
pub(super) fn notify(_: String) -> Option<std::thread::JoinHandle<()>> {
    None
}

/// Has the bar of tasks show how far a run is, in `[0, 1]`; none where nothing runs. Here the title says it alone.
#[cfg(not(target_os = "linux"))]
pub(super) fn show_progress(_: Option<f32>) {}

/// Asks the desktop, and hears of it when that changes. `tell` is called with each answer, from a thread of its own.
#[cfg(not(target_os = "linux"))]
pub(super) fn watch(_: impl FnMut(Wishes) + Send + 'static) {}

#[cfg(target_os = "linux")]
mod portal {
    use std::{
        collections::HashMap,
        sync::{
            Mutex, PoisonError,
            mpsc::{Receiver, Sender, channel},
        },
    };

    use zbus::{
        blocking::{Connection, Proxy},
        zvariant::{OwnedValue, Value},
    };

    use super::Wishes;

    const APPEARANCE: &str = "org.freedesktop.appearance";
    const GNOME: &str = "org.gnome.desktop.interface";
    const KDE: &str = "org.kde.kdeglobals.KDE";

    /// What is asked for, by name space and key.
    const KEYS: [[&str; 2]; 4] = [
        [APPEARANCE, "reduced-motion"],
        [GNOME, "enable-animations"],
        [KDE, "AnimationDurationFactor"],
        [GNOME, "text-scaling-factor"],
    ];

    /// Asks the desktop, and hears of it when that changes. `tell` is called with each answer, from a thread of its own.
    pub(in crate::window) fn watch(tell: impl FnMut(Wishes) + Send + 'static) {
        // Nothing depends on it: where there is no bus or no portal, the usual holds.
        let _ = std::thread::Builder::new().name("desktop settings".into()).spawn(move || serve(tell));
    }

    /// Has the desktop show a message beside its clock, if it does such a thing, in a thread.
    pub(in crate::window) fn notify(text: String) -> Option<std::thread::JoinHandle<()>> {
        let tell = move || -> zbus::Result<()> {
            let service = "org.freedesktop.Notifications";
            let proxy = Proxy::new(&Connection::session()?, service, "/org/freedesktop/Notifications", service)?;
            let (actions, hints) = (Vec::<&str>::new(), HashMap::<&str, Value<'_>>::new());
            // The desktop decides for how long.
            let shown: u32 =
                proxy.call("Notify", &("Dualres", 0_u32, "dualres", "Dualres", text, actions, hints, -1_i32))?;
            let _ = shown;
            Ok(())
        };
        // Nothing depends on it either.
        let show = move || drop(tell());
        std::thread::Builder::new().name("notification".into()).spawn(show).ok()
    }

    /// What the bar of tasks is to show: progress in `[0, 1]`, or none.
    static PROGRESS: Mutex<Option<Sender<Option<f32>>>> = Mutex::new(None);

    /// Has the bar of tasks show how far a run is, in `[0, 1]`; none where nothing runs. Docks that know of such things (KDE's, Ubuntu's,
    /// Plank) take it by the name of the desktop entry.
    pub(in crate::window) fn show_progress(part: Option<f32>) {
        let mut sender = PROGRESS.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.is_none() {
            let (to, from) = channel();
            // Nothing depends on it: where there is no bus, nobody hears it.
            let _ = std::thread::Builder::new().name("task bar".into()).spawn(move || drop(tell_bar(&from)));
            *sender = Some(to);
        }
        if let Some(sender) = &*sender {
            let _ = sender.send(part);
        }
    }

    fn tell_bar(parts: &Receiver<Option<f32>>) -> zbus::Result<()> {
        let bus = Connection::session()?;
        while let Ok(mut part) = parts.recv() {
            // Only the newest counts.
            while let Ok(newer) = parts.try_recv() {
                part = newer;
            }
            let shown = HashMap::from([
                ("progress", Value::from(f64::from(part.unwrap_or(0.0)))),
                ("progress-visible", Value::from(part.is_some())),
            ]);
            let path = "/com/canonical/unity/launcherentry/dualres";
            let body = ("application://dualres.desktop", shown);
            bus.emit_signal(None::<()>, path, "com.canonical.Unity.LauncherEntry", "Update", &body)?;
        }
        Ok(())
    }

    fn serve(mut tell: impl FnMut(Wishes)) -> zbus::Result<()> {
        let portal = Proxy::new(
            &Connection::session()?,
            "org.freedesktop.portal.Desktop",
            "/org/freedesktop/portal/desktop",
            "org.freedesktop.portal.Settings",
        )?;
        let changes = portal.receive_signal("SettingChanged")?;
        // Under X11 the scale of the screen has that of the text in it.
        let scales_text = std::env::var_os("WAYLAND_DISPLAY").is_some_and(|name| !name.is_empty());
        let mut answers = Answers { scales_text, ..Answers::default() };
        for [space, key] in KEYS {
            let answer: zbus::Result<OwnedValue> = portal.call("Read", &(space, key));
            if let Ok(answer) = answer {
                answers.take(key, &answer);
            }
        }
        tell(answers.wishes());
        for change in changes {
            let body = change.body();
            let Ok((space, key, value)) = body.deserialize::<(&str, &str, Value<'_>)>() else { continue };
            if KEYS.contains(&[space, key]) {
                answers.take(key, &value);
                tell(answers.wishes());
            }
        }
        Ok(())
    }

    /// What was answered to each question.
    #[derive(Default)]
    struct Answers {
        scales_text: bool,
        text_scale: Option<f32>,
        reduces_motion: bool,
        animates: Option<bool>,
        animation_time: Option<f64>,
    }

    impl Answers {
        /// Takes an answer in; one that makes no sense changes nothing.
        fn take(&mut self, key: &str, value: &Value<'_>) {
            match (key, value) {
                // Answers come wrapped once or twice, by the version of the portal.
                (_, Value::Value(inner)) => self.take(key, inner),
                ("reduced-motion", Value::U32(wanted)) => self.reduces_motion = *wanted == 1,
                ("enable-animations", Value::Bool(wanted)) => self.animates = Some(*wanted),
                ("AnimationDurationFactor", Value::Str(factor)) => self.animation_time = factor.parse().ok(),
                ("text-scaling-factor", Value::F64(scale)) if (0.5..=3.0).contains(scale) => {
                    self.text_scale = Some(*scale as f32);
                }
                _ => {}
            }
        }

        fn wishes(&self) -> Wishes {
            Wishes {
                text_scale: self.text_scale.filter(|_| self.scales_text).unwrap_or(1.0),
                reduced_motion: self.reduces_motion || self.animates == Some(false) || self.animation_time == Some(0.0),
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn answers_are_understood() {
            let taken = |key, value: Value<'_>, scales_text| {
                let mut answers = Answers { scales_text, ..Answers::default() };
                answers.take(key, &Value::Value(Box::new(value)));
                let wishes = answers.wishes();
                (wishes.text_scale, wishes.reduced_motion)
            };
            assert_eq!(taken("text-scaling-factor", Value::F64(1.25), true), (1.25, false));
            assert_eq!(taken("text-scaling-factor", Value::F64(1.25), false), (1.0, false), "the screen has it");
            assert_eq!(taken("text-scaling-factor", Value::F64(1e9), true), (1.0, false));
            assert_eq!(taken("text-scaling-factor", Value::from("2"), true), (1.0, false));
            assert_eq!(taken("enable-animations", Value::Bool(false), true), (1.0, true));
            assert_eq!(taken("enable-animations", Value::Bool(true), true), (1.0, false));
            assert_eq!(taken("AnimationDurationFactor", Value::from("0"), true), (1.0, true));
            assert_eq!(taken("AnimationDurationFactor", Value::from("0.5"), true), (1.0, false));
            assert_eq!(taken("reduced-motion", Value::U32(1), true), (1.0, true));
        }
    }
}
