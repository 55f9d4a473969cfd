//! The stable code of every complaint. A code is never renamed and never used for something else.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)+) => {
        /// Which rule a file breaks. Each has its anchor in `docs/language.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])+ #[serde(rename = $text)] $name,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code as it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

codes! {
    /// The file is longer than it may be.
    TooLarge = "too-large",
    /// The file is not UTF-8.
    NotUtf8 = "not-utf8",
    /// The file is not YAML.
    NotYaml = "not-yaml",
    /// The file holds nothing.
    EmptyFile = "empty-file",
    /// Lists and maps are nested too deep.
    TooDeep = "too-deep",
    /// The file has too many values.
    TooManyValues = "too-many-values",
    /// More complaints than are listed.
    TooManyComplaints = "too-many-complaints",
    /// An anchor or an alias.
    YamlAnchor = "yaml-anchor",
    /// A tag.
    YamlTag = "yaml-tag",
    /// A second YAML document in the file.
    SecondDocument = "second-document",
    /// A key that is not a plain word.
    OddKey = "odd-key",
    /// A key twice in one map.
    DuplicateKey = "duplicate-key",
    /// A key that does not exist here.
    UnknownKey = "unknown-key",
    /// A key that must be there.
    MissingKey = "missing-key",
    /// A list where a text is wanted, and the like.
    WrongType = "wrong-type",
    /// A value that is none of those possible.
    UnknownValue = "unknown-value",
    /// A text that other readers of YAML take for something else.
    AmbiguousString = "ambiguous-string",
    /// A duration, size or number without its unit or out of its bounds.
    BadUnit = "bad-unit",
    /// A text that is not a name.
    BadName = "bad-name",
    /// A list or text is longer than it may be.
    TooLong = "too-long",
    /// A version of the language that is not known.
    UnsupportedVersion = "unsupported-version",
    /// Understood, but without effect in this version.
    NotYet = "not-yet",
    /// A path that leaves its folder or has no place.
    BadPath = "bad-path",
    /// A pattern that cannot be used.
    BadPattern = "bad-pattern",
    /// Nothing starts the pipeline.
    NeverStarts = "never-starts",
    /// A filter of `when` without an entry.
    EmptyWhen = "empty-when",
    /// Something without effect on a step of this kind.
    NotForThisKind = "not-for-this-kind",
    /// A step without a kind or with several.
    StepKind = "step-kind",
    /// A step that does not exist is needed.
    UnknownStep = "unknown-step",
    /// Steps need each other in a circle.
    NeedsCycle = "needs-cycle",
    /// An image without its digest.
    ImageNotPinned = "image-not-pinned",
    /// A text that is no reference to an image.
    BadImage = "bad-image",
    /// An image from a registry that the project does not know.
    UnknownRegistry = "unknown-registry",
    /// An image name that is no `build` step.
    ImageNotBuilt = "image-not-built",
    /// Neither `script` nor `command`, or both.
    ScriptOrCommand = "script-or-command",
    /// A port used twice in one pod.
    PortTwice = "port-twice",
    /// A host name used twice in one pod.
    HostTwice = "host-twice",
    /// A readiness question that cannot be asked.
    BadReady = "bad-ready",
    /// A container as root.
    RootUser = "root-user",
    /// An environment variable that cannot be set.
    BadEnv = "bad-env",
    /// More than the project or the product allows.
    OverLimit = "over-limit",
    /// A work area larger than the memory that it is taken from.
    WorkOverMemory = "work-over-memory",
    /// A place of the source that is not accepted.
    BadSource = "bad-source",
    /// A text that is no repository of a registry.
    BadRepository = "bad-repository",
    /// Quarantine lies among the known registries.
    QuarantineKnown = "quarantine-known",
    /// Two places for images lie in each other.
    RepositoryOverlap = "repository-overlap",
    /// Approvals from a role that cannot give them.
    ApproverRole = "approver-role",
    /// An environment that does not exist is named.
    UnknownEnvironment = "unknown-environment",
    /// Environments come after each other in a circle.
    EnvironmentCycle = "environment-cycle",
    /// A Dockerfile that the builder would not read.
    BadDockerfile = "bad-dockerfile",
    /// The base image does not come from a known registry.
    UnknownBaseRegistry = "unknown-base-registry",
    /// The base image has no digest.
    BaseNotPinned = "base-not-pinned",
    /// A source that the engine would fetch from elsewhere.
    RemoteAdd = "remote-add",
    /// Another frontend than the builder's own.
    ForeignFrontend = "foreign-frontend",
    /// An instruction that takes effect in later builds.
    Onbuild = "onbuild",
    /// More rights for a `RUN` than a build has.
    BuildRights = "build-rights",
    /// A variable whose value is not known before the build.
    UnresolvedVariable = "unresolved-variable",
    /// There is no pipeline file at the commit.
    NoPipelineFile = "no-pipeline-file",
    /// A build step names a Dockerfile that is not there.
    NoDockerfile = "no-dockerfile",
    /// No step runs for the ref.
    NoSteps = "no-steps",
    /// The instance has no image for a tool.
    ToolNotConfigured = "tool-not-configured",
    /// The commit holds a submodule.
    Submodule = "submodule",
    /// The commit holds a file of git LFS.
    LfsPointer = "lfs-pointer",
    /// A link of the commit leads out of it.
    LinkOutside = "link-outside",
    /// The commit's folders lie too deep in each other.
    SourceTooDeep = "source-too-deep",
    /// The commit has more files or bytes than are archived.
    SourceTooLarge = "source-too-large",
    /// A file's name cannot be archived.
    SourceName = "source-name",
    /// The commit holds something that is neither a file nor a folder.
    SourceEntry = "source-entry",
    /// Something that builders of different versions read differently.
    AmbiguousSyntax = "ambiguous-syntax",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
