//! The rules for Dockerfiles. One rule is one file and one anchor in `docs/language.md`.
//!
//! *Comes in*: one instruction. *Goes out*: complaints. *Owns*: nothing. *Never*: the engine's word
//! for what it will do. *Before / After*: lines and words are before.

mod add_is_local;
mod bases;
mod flags;
mod frontend;
mod heredoc;
mod onbuild;
mod run_rights;

pub(super) use add_is_local::add_is_local;
pub(super) use bases::{Place, mount, resolve};
pub(super) use flags::{INSTRUCTIONS, flag_is_known};
pub(super) use frontend::frontend_is_ours;
pub(super) use heredoc::heredoc;
pub(super) use onbuild::no_onbuild;
pub use onbuild::onbuild_base;
pub(super) use run_rights::run_rights;

#[cfg(test)]
pub(super) use story::complaints_about;

#[cfg(test)]
mod story {
    use crate::dockerfile::check;

    /// The complaints about a Dockerfile of a project that knows `registry.example/base/*`.
    /// `<digest>` stands for a digest.
    pub(in crate::dockerfile) fn complaints_about(text: &str) -> String {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let text = text.replace("<digest>", &digest);
        let known = ["registry.example/base/*".to_owned()];
        let complaints = check("Dockerfile", text.as_bytes(), &known).err();
        let texts = complaints.unwrap_or_default();
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        texts.join("\n\n").replace(&digest, "<digest>")
    }
}
