//! Approvals are wanted from a role that can give them; another word would be a gate that nobody can
//! open.

use crate::complaint::{Code, Complaints, quoted};
use crate::settings::syntax::File;

/// The one role that permits approving.
const APPROVER: &str = "release-manager";

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for role in file.environments.iter().flat_map(|e| &e.approvers) {
        if role.value.as_str() != APPROVER {
            let message = format!("the role {} cannot approve", quoted(role.value.as_str()));
            complaints
                .error(
                    Code::ApproverRole,
                    role.span,
                    message,
                    "nobody could open this gate",
                )
                .help(format!("write `{APPROVER}`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::rules::complaints_about;

    #[test]
    fn approvals_come_from_a_role_that_can_give_them() {
        insta::assert_snapshot!(complaints_about(&[], "  a: { repository: registry.example/a, promote: automatic, gate: { approvals: [{ from: developer }] } }\n"), @r"
        error[approver-role]: the role `developer` cannot approve
          --> settings.yml:7:88
           |
         7 | …: { approvals: [{ from: developer }] } }
           |                          ^^^^^^^^^ nobody could open this gate
           = help: write `release-manager`
           = more: docs/language.md#approver-role
        ");
    }
}
