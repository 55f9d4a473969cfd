//! What the file says, with places. Nothing here is known to be right but the form of each value.

use crate::complaint::{Span, Spanned};
use crate::language::pipeline::{EventKind, ToolName};
use crate::name::Name;

/// The whole file.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) on: Option<On>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct On {
    pub(crate) key: Span,
    /// There, too, when what follows is wrong.
    pub(crate) push_key: Option<Span>,
    pub(crate) push: Option<Push>,
    pub(crate) pull_request: Option<PullRequest>,
}

#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) branches: Option<Vec<Spanned<String>>>,
    pub(crate) tags: Option<Vec<Spanned<String>>>,
    pub(crate) paths: Vec<Spanned<String>>,
    pub(crate) paths_ignore: Vec<Spanned<String>>,
}

#[derive(Debug)]
pub(crate) struct PullRequest {
    pub(crate) key: Span,
    pub(crate) branches: Option<Vec<Spanned<String>>>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: Spanned<Name>,
    /// Every kind that stands there; exactly one is right.
    pub(crate) kinds: Vec<(Spanned<&'static str>, Option<Kind>)>,
    pub(crate) needs: Vec<Spanned<String>>,
    pub(crate) when: When,
    pub(crate) env: Vec<EnvEntry>,
    pub(crate) resources: Resources,
    pub(crate) timeout: Option<Spanned<u64>>,
    pub(crate) junit: Vec<Spanned<String>>,
    pub(crate) artifacts: Vec<Spanned<String>>,
    pub(crate) effects: Option<Spanned<bool>>,
    /// Values that are understood and have no effect yet, with what is said of them.
    pub(crate) not_yet: Vec<Spanned<&'static str>>,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one a step, and a file has at most a hundred"
)]
pub(crate) enum Kind {
    Build {
        dockerfile: Option<Spanned<String>>,
        context: Option<Spanned<String>>,
    },
    Analyze {
        tools: Option<Vec<Spanned<ToolName>>>,
    },
    Scan {
        image: Spanned<String>,
    },
    Test {
        image: Spanned<String>,
        env: Vec<EnvEntry>,
        ready: Option<Ready>,
        services: Vec<Service>,
        probe: Option<Container>,
    },
    Run(Container),
}

/// An image and what runs in it.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) span: Span,
    pub(crate) image: Option<Spanned<String>>,
    pub(crate) script: Option<Spanned<String>>,
    pub(crate) command: Option<Spanned<Vec<String>>>,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: Spanned<Name>,
    pub(crate) image: Option<Spanned<String>>,
    pub(crate) env: Vec<EnvEntry>,
    pub(crate) user: Option<Spanned<u64>>,
    pub(crate) writable: Vec<Spanned<String>>,
    pub(crate) ready: Option<Ready>,
}

#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) span: Span,
    pub(crate) http: Option<Spanned<String>>,
    pub(crate) tcp: Option<Spanned<u64>>,
    pub(crate) within: Option<Spanned<u64>>,
}

#[derive(Debug)]
pub(crate) struct EnvEntry {
    pub(crate) key: Spanned<String>,
    pub(crate) value: String,
}

#[derive(Debug, Default)]
pub(crate) struct Resources {
    pub(crate) cpu: Option<Spanned<u64>>,
    pub(crate) memory: Option<Spanned<u64>>,
    pub(crate) pids: Option<Spanned<u64>>,
    pub(crate) work: Option<Spanned<u64>>,
}

#[derive(Debug, Default)]
pub(crate) struct When {
    pub(crate) key: Span,
    pub(crate) branches: Option<Vec<Spanned<String>>>,
    pub(crate) tags: Option<Vec<Spanned<String>>>,
    pub(crate) events: Option<Vec<Spanned<EventKind>>>,
}

/// An image somewhere in a step.
pub(crate) struct ImagePlace<'f> {
    pub(crate) step: &'f Step,
    pub(crate) image: &'f Spanned<String>,
    /// Whether the name of a `build` step may stand there.
    pub(crate) may_be_built: bool,
}

impl File {
    /// Every image that is named, in the order of the steps.
    pub(crate) fn images(&self) -> Vec<ImagePlace<'_>> {
        let mut found = Vec::new();
        for step in &self.steps {
            for kind in step.kinds.iter().filter_map(|(_, kind)| kind.as_ref()) {
                found.extend(
                    kind.images()
                        .into_iter()
                        .map(|(image, may_be_built)| ImagePlace {
                            step,
                            image,
                            may_be_built,
                        }),
                );
            }
        }
        found
    }

    /// Whether a step of this name builds an image.
    pub(crate) fn builds(&self, name: &str) -> bool {
        self.steps.iter().any(|step| {
            step.name.value.as_str() == name && step.kinds.iter().any(|(k, _)| k.value == "build")
        })
    }
}

impl Kind {
    fn images(&self) -> Vec<(&Spanned<String>, bool)> {
        match self {
            Self::Build { .. } | Self::Analyze { .. } => Vec::new(),
            Self::Scan { image } => vec![(image, true)],
            Self::Run(container) => container.image.iter().map(|i| (i, false)).collect(),
            Self::Test {
                image,
                services,
                probe,
                ..
            } => {
                let services = services.iter().filter_map(|s| s.image.as_ref());
                let probe = probe.iter().filter_map(|p| p.image.as_ref());
                std::iter::once((image, true))
                    .chain(services.chain(probe).map(|i| (i, false)))
                    .collect()
            }
        }
    }
}

impl Step {
    /// Names of images that this step takes from the same run: each is a step that it needs.
    pub(crate) fn implied_needs(&self) -> Vec<Spanned<String>> {
        let kinds = self.kinds.iter().filter_map(|(_, kind)| kind.as_ref());
        kinds
            .flat_map(Kind::images)
            .filter(|(image, may_be_built)| *may_be_built && Name::parse(&image.value).is_ok())
            .map(|(image, _)| image.clone())
            .collect()
    }
}
