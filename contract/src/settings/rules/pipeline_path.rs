//! The pipeline file lies in the repository.

use crate::complaint::{Code, Complaints, quoted};
use crate::language::path_fault;
use crate::settings::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    if let Some(path) = &file.pipeline
        && let Some(fault) = path_fault(&path.value)
    {
        let message = format!("the path {} cannot be used", quoted(&path.value));
        complaints.error(Code::BadPath, path.span, message, fault);
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::rules::complaints_about;

    #[test]
    fn the_pipeline_file_lies_in_the_repository() {
        insta::assert_snapshot!(complaints_about(&[("pipeline", "pipeline: ../ci.yml")], ""), @r"
        error[bad-path]: the path `../ci.yml` cannot be used
          --> settings.yml:6:11
           |
         6 | pipeline: ../ci.yml
           |           ^^^^^^^^^ `..` leads out of the source
           = more: docs/language.md#bad-path
        ");
    }
}
