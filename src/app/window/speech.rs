//! Which language the window speaks: what the system speaks, or what was chosen, if there are letters for it.

use std::sync::Arc;

use eframe::egui::{Context, FontId, emath, style::NumberFormatter};
use egui_system_font_provider::SystemFontProvider;

use super::Window;
use crate::language::{self, Language, written};

/// Passes after which fonts that were asked for are there.
const PASSES: u8 = 2;

impl Window {
    /// Speaks what was chosen, from the next pass on.
    pub(super) fn speak(&mut self, ctx: &Context) {
        let language = self.shell.settings.language.unwrap_or(self.shell.usual_language);
        self.shell.unproven = language.proof_of_font().map(|_| (language, PASSES));
        match self.shell.unproven {
            // Signs that languages share are drawn differently by them.
            Some(_) => {
                ctx.set_font_providers(vec![Arc::new(SystemFontProvider::new().with_locale(Some(language.code())))]);
            }
            None => self.speak_now(ctx, language),
        }
        ctx.request_repaint();
    }

    /// Speaks a language that waits for its letters, or says that there are none.
    pub(super) fn find_letters(&mut self, ctx: &Context) {
        let Some((language, left)) = &mut self.shell.unproven else { return };
        ctx.request_repaint();
        *left = left.saturating_sub(1);
        if *left > 0 {
            return;
        }
        let language = *language;
        self.shell.unproven = None;
        let is_there = |letter| ctx.fonts_mut(|fonts| fonts.has_glyph(&FontId::proportional(13.0), letter));
        if language.proof_of_font().is_none_or(is_there) {
            self.speak_now(ctx, language);
            return;
        }
        self.speak_now(ctx, Language::English);
        // In Latin letters, and in English, which those who get to see it have chosen nothing else instead of.
        self.shell.toasts.warning(format!(
            "No font of this system has the letters of {}. Install one, such as Noto Sans CJK; until then the window speaks English.",
            language.latin_name()
        ));
    }

    fn speak_now(&mut self, ctx: &Context, language: Language) {
        language::speak(language);
        ctx.all_styles_mut(|style| {
            style.number_formatter =
                NumberFormatter::new(|value, decimals| written(emath::format_with_decimals_in_range(value, decimals)));
        });
        // They hold texts in the language of before.
        self.send(super::worker::Command::Devices);
    }
}
