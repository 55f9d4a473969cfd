//! The members of SARIF 2.1.0 that are read, as the schema names them; all others are skipped.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Log {
    pub(super) version: String,
    #[serde(default)]
    pub(super) runs: Vec<Run>,
}

#[derive(Deserialize)]
pub(super) struct Run {
    pub(super) tool: Tool,
    /// None: absent or null, which is not the same as empty.
    pub(super) results: Option<Vec<SarifResult>>,
    #[serde(default)]
    pub(super) invocations: Vec<Invocation>,
    #[serde(default)]
    pub(super) artifacts: Vec<Artifact>,
}

#[derive(Deserialize)]
pub(super) struct Tool {
    pub(super) driver: Component,
    #[serde(default)]
    pub(super) extensions: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) semantic_version: Option<String>,
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) short_description: Option<Message>,
    pub(super) default_configuration: Option<Configuration>,
    pub(super) properties: Option<RuleProperties>,
}

impl Rule {
    pub(super) fn about(&self) -> Option<&str> {
        self.short_description.as_ref()?.said()
    }
}

#[derive(Deserialize)]
pub(super) struct RuleProperties {
    /// A CVSS score, by GitHub's convention a string.
    #[serde(rename = "security-severity")]
    pub(super) security_severity: Option<serde_json::Value>,
}

#[derive(Deserialize)]
pub(super) struct Configuration {
    pub(super) level: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invocation {
    pub(super) execution_successful: Option<bool>,
    #[serde(default, rename = "toolExecutionNotifications")]
    pub(super) notifications: Vec<Notification>,
    #[serde(default, rename = "toolConfigurationNotifications")]
    pub(super) configuration_notifications: Vec<Notification>,
    #[serde(default, rename = "ruleConfigurationOverrides")]
    pub(super) overrides: Vec<Override>,
}

#[derive(Deserialize)]
pub(super) struct Notification {
    pub(super) level: Option<String>,
    pub(super) message: Option<Message>,
}

#[derive(Deserialize)]
pub(super) struct Override {
    pub(super) descriptor: RuleReference,
    pub(super) configuration: Configuration,
}

#[derive(Deserialize)]
pub(super) struct Artifact {
    pub(super) location: Option<ArtifactLocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SarifResult {
    pub(super) rule_id: Option<String>,
    pub(super) rule_index: Option<i64>,
    pub(super) rule: Option<RuleReference>,
    pub(super) kind: Option<String>,
    pub(super) level: Option<String>,
    pub(super) message: Message,
    #[serde(default)]
    pub(super) locations: Vec<LocationAt>,
    pub(super) suppressions: Option<Vec<Suppression>>,
    pub(super) baseline_state: Option<String>,
}

impl SarifResult {
    pub(super) fn id(&self) -> Option<&str> {
        let of_reference = || self.rule.as_ref().and_then(|rule| rule.id.as_deref());
        self.rule_id.as_deref().or_else(of_reference)
    }

    /// §3.27.23: suppressed when there is a suppression and none is under review or rejected.
    pub(super) fn is_suppressed(&self) -> bool {
        let suppressions = self.suppressions.as_deref().unwrap_or_default();
        !suppressions.is_empty()
            && suppressions
                .iter()
                .all(|one| matches!(one.status.as_deref(), None | Some("accepted")))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleReference {
    pub(super) id: Option<String>,
    pub(super) index: Option<i64>,
    pub(super) tool_component: Option<ComponentReference>,
}

#[derive(Deserialize)]
pub(super) struct ComponentReference {
    pub(super) name: Option<String>,
    pub(super) index: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct Suppression {
    pub(super) status: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) text: Option<String>,
    pub(super) markdown: Option<String>,
}

impl Message {
    pub(super) fn said(&self) -> Option<&str> {
        self.text.as_deref().or(self.markdown.as_deref())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LocationAt {
    #[serde(default)]
    pub(super) physical_location: PhysicalLocation,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct PhysicalLocation {
    pub(super) artifact_location: Option<ArtifactLocation>,
    pub(super) region: Option<Region>,
}

#[derive(Deserialize)]
pub(super) struct ArtifactLocation {
    pub(super) uri: Option<String>,
    pub(super) index: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Region {
    pub(super) start_line: Option<u32>,
    pub(super) start_column: Option<u32>,
    pub(super) end_line: Option<u32>,
    pub(super) end_column: Option<u32>,
    pub(super) snippet: Option<Snippet>,
}

#[derive(Deserialize)]
pub(super) struct Snippet {
    pub(super) text: Option<String>,
}
