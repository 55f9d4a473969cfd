//! Reads a Dockerfile from the first line to the last.

use crate::complaint::{Code, Complaint, Complaints, Span, Spanned, quoted};
use crate::dockerfile::lines::lines;
use crate::dockerfile::rules::{
    INSTRUCTIONS, Place, add_is_local, flag_is_known, frontend_is_ours, heredoc, mount, no_onbuild,
    resolve, run_rights,
};
use crate::dockerfile::state::{Base, Dockerfile, Stage};
use crate::dockerfile::variables::{Unknown, Variables};
use crate::dockerfile::words::{Instruction, instruction};
use crate::image::ImageRef;
use crate::yaml::nearest;

/// A Dockerfile is a page or two; BuildKit's own reader takes lines up to this length.
pub const DOCKERFILE_BYTES_MAX: usize = 64 * 1024;
/// Instructions of one file: an image has at most 127 layers.
const INSTRUCTIONS_MAX: usize = 1000;
/// Outside images that one file may name.
const IMAGES_MAX: usize = 50;

/// Everything known while the file is read.
pub(super) struct Reader<'k> {
    pub(super) known: &'k [String],
    pub(super) stages: Vec<Stage>,
    pub(super) images: Vec<Spanned<ImageRef>>,
    /// ARGs before the first FROM.
    arguments: Variables,
    /// ENVs of each stage, with those of the stages below it.
    environments: Vec<Variables>,
}

/// Reads a Dockerfile: what it names, or everything that is wrong with it. `known` are patterns of
/// known registries (`registry/name/*`).
pub fn check(file: &str, bytes: &[u8], known: &[String]) -> Result<Dockerfile, Vec<Complaint>> {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(DOCKERFILE_BYTES_MAX)]);
    let mut complaints = Complaints::new(file, &text);
    if bytes.len() > DOCKERFILE_BYTES_MAX {
        let label = format!("at most {} KiB are read", DOCKERFILE_BYTES_MAX / 1024);
        complaints.error(
            Code::TooLarge,
            Span::default(),
            "the file is too large",
            label,
        );
        return Err(complaints.finish());
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        let span = Span::new(at, at + 1);
        complaints.error(Code::NotUtf8, span, "the file is not UTF-8", "this byte");
        return Err(complaints.finish());
    }
    let mut reader = Reader {
        known,
        stages: Vec::new(),
        images: Vec::new(),
        arguments: Variables::default(),
        environments: Vec::new(),
    };
    reader.file(&mut complaints);
    if complaints.is_empty() {
        let named = reader.images.iter().map(|image| image.span).collect();
        let images = reader.images.into_iter().map(|image| image.value);
        Ok(Dockerfile {
            images: images.collect(),
            stages: reader.stages,
            named,
        })
    } else {
        Err(complaints.finish())
    }
}

impl Reader<'_> {
    fn file(&mut self, complaints: &mut Complaints<'_>) {
        frontend_is_ours(complaints);
        let lines = lines(complaints);
        if lines.len() > INSTRUCTIONS_MAX {
            let span = lines[INSTRUCTIONS_MAX].span(0, 1);
            let label = format!("at most {INSTRUCTIONS_MAX} are read");
            complaints.error(
                Code::TooLong,
                span,
                "the file has too many instructions",
                label,
            );
            return;
        }
        for line in &lines {
            let instruction = instruction(line, complaints);
            self.instruction(&instruction, complaints);
        }
        if self.stages.is_empty() {
            let message = "the file builds nothing";
            complaints
                .error(Code::BadDockerfile, Span::default(), message, "no FROM")
                .help("begin with FROM");
        }
        if self.images.len() > IMAGES_MAX {
            let message = format!("the file names {} outside images", self.images.len());
            let label = format!("at most {IMAGES_MAX}");
            complaints.error(Code::TooLong, Span::default(), message, label);
        }
    }

    fn instruction(&mut self, it: &Instruction, complaints: &mut Complaints<'_>) {
        if !INSTRUCTIONS.contains(&it.name.as_str()) {
            let label = nearest(&it.name.to_lowercase(), LOWER.iter().copied()).map_or_else(
                || "no such instruction".to_owned(),
                |near| format!("did you mean {}?", near.to_uppercase()),
            );
            let message = format!("{} is not an instruction", quoted(&it.name));
            complaints.error(Code::BadDockerfile, it.name_span, message, label);
            return;
        }
        if self.stages.is_empty() && !matches!(it.name.as_str(), "FROM" | "ARG" | "ONBUILD") {
            let message = format!("{} stands before the first FROM", it.name);
            complaints.error(Code::BadDockerfile, it.name_span, message, "only ARG may");
            return;
        }
        for flag in &it.flags {
            flag_is_known(&it.name, flag, complaints);
        }
        match it.name.as_str() {
            "FROM" => self.from(it, complaints),
            "ARG" => self.arg(it, complaints),
            "ENV" => self.env(it, complaints),
            "ADD" => {
                heredoc(it, complaints);
                add_is_local(it, self.environments.last(), complaints);
            }
            "COPY" => {
                heredoc(it, complaints);
                for flag in it.flags.iter().filter(|flag| flag.key == "from") {
                    let name = Spanned::new(flag.value.clone(), flag.span);
                    resolve(self, &name, Place::Copy, complaints);
                }
            }
            "RUN" => {
                heredoc(it, complaints);
                run_rights(it, complaints);
                for flag in it.flags.iter().filter(|flag| flag.key == "mount") {
                    mount(self, flag, complaints);
                }
            }
            "ONBUILD" => no_onbuild(it, complaints),
            // These name no image and fetch nothing.
            _ => {}
        }
    }

    fn from(&mut self, it: &Instruction, complaints: &mut Complaints<'_>) {
        let (image, name) = match it.words.as_slice() {
            [image] => (Some(image), None),
            [image, as_word, name] if as_word.value.eq_ignore_ascii_case("as") => {
                (Some(image), Some(name))
            }
            _ => {
                let message = "FROM is followed by an image, or by `image AS name`";
                complaints.error(Code::BadDockerfile, it.name_span, message, "not that");
                (None, None)
            }
        };
        let base = image.map_or(Base::Refused, |image| {
            match self.arguments.fill(&image.value) {
                Ok(filled) => {
                    let filled = Spanned::new(filled, image.span);
                    resolve(self, &filled, Place::From, complaints)
                }
                Err(unknown) => {
                    unresolved(
                        &unknown,
                        image,
                        "an ARG with a value before FROM",
                        complaints,
                    );
                    Base::Refused
                }
            }
        });
        let inherited = match &base {
            Base::Stage(at) => self.environments.get(*at).cloned(),
            Base::Scratch | Base::Image(_) | Base::Refused => None,
        };
        let name = name.and_then(|name| self.stage_name(name, complaints));
        self.environments.push(inherited.unwrap_or_default());
        self.stages.push(Stage { name, base });
    }

    fn stage_name(
        &self,
        name: &Spanned<String>,
        complaints: &mut Complaints<'_>,
    ) -> Option<String> {
        let lower = name.value.to_ascii_lowercase();
        let good = lower.starts_with(|c: char| c.is_ascii_lowercase())
            && lower
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
            && lower != "scratch";
        let twice = self
            .stages
            .iter()
            .any(|stage| stage.name.as_ref() == Some(&lower));
        if good && !twice {
            return Some(lower);
        }
        let label = if twice {
            "this name is taken"
        } else {
            "not a name"
        };
        let message = format!("{} cannot be the name of a stage", quoted(&name.value));
        complaints.error(Code::BadDockerfile, name.span, message, label);
        None
    }

    /// Only ARGs before the first FROM have a value that is known. In a stage an ARG comes after the ENVs
    /// above it, and its value is the build's business.
    fn arg(&mut self, it: &Instruction, complaints: &mut Complaints<'_>) {
        for word in quoted_words(it, complaints) {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            if !names_plainly(it, name, complaints) {
                continue;
            }
            match self.environments.last_mut() {
                Some(environment) => environment.set(name, None),
                None => {
                    let value = value.and_then(|value| self.arguments.fill(unquoted(value)).ok());
                    self.arguments.set(name, value);
                }
            }
        }
    }

    fn env(&mut self, it: &Instruction, complaints: &mut Complaints<'_>) {
        let Some(environment) = self.environments.last_mut() else {
            return;
        };
        let words = quoted_words(it, complaints);
        if words.first().is_some_and(|word| !word.contains('=')) {
            // `ENV key value` sets one.
            let Some((key, values)) = it.words.split_first() else {
                return;
            };
            let value = match values {
                [value] => environment.fill(&value.value).ok(),
                _ => None,
            };
            if names_plainly(it, &key.value, complaints) {
                environment.set(&key.value, value);
            }
            return;
        }
        // All values of one ENV are filled in with what stood before it.
        let before = environment.clone();
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            if names_plainly(it, name, complaints) {
                environment.set(name, before.fill(value).ok());
            }
        }
    }
}

/// The words of an instruction as a shell would split them; none when they cannot be told.
fn quoted_words<'i>(it: &'i Instruction, complaints: &mut Complaints<'_>) -> Vec<&'i str> {
    it.quoted_words().unwrap_or_else(|| {
        let message = format!("a quote in {} has no end", it.name);
        complaints
            .error(
                Code::AmbiguousSyntax,
                it.name_span,
                message,
                "which names it sets?",
            )
            .help("close the quote, and end no line with a backslash that continues nothing");
        Vec::new()
    })
}

/// Whether what ARG or ENV sets is a name as it stands: the builder fills in variables and takes quotes
/// away on the left of the `=` as well.
fn names_plainly(it: &Instruction, name: &str, complaints: &mut Complaints<'_>) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    let good = !name.is_empty() && name.bytes().all(plain);
    if !good {
        let message = format!("{} sets {}, which is no plain name", it.name, quoted(name));
        complaints
            .error(
                Code::AmbiguousSyntax,
                it.name_span,
                message,
                "what is it called in the end?",
            )
            .help("write the name itself: letters, digits, `_`, `-` and `.`");
    }
    good
}

/// A default in quotes is its inside, when there is nothing else to it.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        let inside = value
            .strip_prefix(quote)
            .and_then(|v| v.strip_suffix(quote));
        if let Some(inside) = inside.filter(|i| quote == '"' || !i.contains('$')) {
            return inside;
        }
    }
    value
}

/// Complains about a text whose value is not known before the build.
pub(super) fn unresolved(
    unknown: &Unknown,
    text: &Spanned<String>,
    wanted: &str,
    complaints: &mut Complaints<'_>,
) {
    let (message, label) = match unknown {
        Unknown::Variable(name) => (
            format!(
                "the value of {} is not known before the build",
                quoted(&format!("${name}"))
            ),
            "not known here".to_owned(),
        ),
        Unknown::Form => (
            format!("{} is not written plainly", quoted(&text.value)),
            "quotes, backslashes or a rare form of substitution".to_owned(),
        ),
    };
    complaints
        .error(Code::UnresolvedVariable, text.span, message, label)
        .help(format!("write the value itself, or use {wanted}"));
}

/// The instructions, as `nearest` compares them.
const LOWER: &[&str] = &[
    "add",
    "arg",
    "cmd",
    "copy",
    "entrypoint",
    "env",
    "expose",
    "from",
    "healthcheck",
    "label",
    "run",
    "shell",
    "stopsignal",
    "user",
    "volume",
    "workdir",
];
