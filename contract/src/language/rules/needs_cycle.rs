//! Steps do not need each other in a circle.

use crate::complaint::{Code, Complaints};
use crate::language::syntax::{File, Step};

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let needs: Vec<Vec<usize>> = file.steps.iter().map(|step| needed(file, step)).collect();
    for circle in circles(&needs) {
        let names: Vec<&str> = circle
            .iter()
            .chain(circle.first())
            .map(|at| file.steps[*at].name.value.as_str())
            .collect();
        let message = format!("steps need each other in a circle: {}", names.join(" → "));
        let first = &file.steps[circle[0]];
        complaints
            .error(
                Code::NeedsCycle,
                first.name.span,
                message,
                "none of them could ever start",
            )
            .help("`→` reads `needs`; naming a step's image is a need too");
    }
}

fn needed(file: &File, step: &Step) -> Vec<usize> {
    let named = step.needs.iter().cloned().chain(step.implied_needs());
    named
        .filter_map(|need| {
            let mut steps = file.steps.iter();
            steps.position(|other| other.name.value.as_str() == need.value)
        })
        .collect()
}

/// Every circle once, beginning with its first member in the order of the file.
pub(crate) fn circles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut done = vec![false; edges.len()];
    let mut found = Vec::new();
    for start in 0..edges.len() {
        walk(start, edges, &mut Vec::new(), &mut done, &mut found);
    }
    found
}

/// Depth first; at most as deep as there are steps.
fn walk(
    at: usize,
    edges: &[Vec<usize>],
    path: &mut Vec<usize>,
    done: &mut [bool],
    found: &mut Vec<Vec<usize>>,
) {
    if let Some(from) = path.iter().position(|seen| *seen == at) {
        let mut circle = path[from..].to_vec();
        let first = circle.iter().enumerate().min_by_key(|(_, at)| **at);
        let first = first.map_or(0, |(index, _)| index);
        circle.rotate_left(first);
        if !found.contains(&circle) {
            found.push(circle);
        }
        return;
    }
    if done[at] {
        return;
    }
    path.push(at);
    for next in &edges[at] {
        walk(*next, edges, path, done, found);
    }
    path.pop();
    done[at] = true;
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;

    #[test]
    fn steps_do_not_need_each_other() {
        insta::assert_snapshot!(complaints_about("  a: { analyze: {}, needs: [c] }\n  web: { build: {}, needs: [web] }\n  b: { analyze: {}, needs: [a] }\n  c: { analyze: {}, needs: [b] }\n"), @r"
        error[needs-cycle]: steps need each other in a circle: a → c → b → a
          --> .sallyport.yml:4:3
           |
         4 |   a: { analyze: {}, needs: [c] }
           |   ^ none of them could ever start
           = help: `→` reads `needs`; naming a step's image is a need too
           = more: docs/language.md#needs-cycle

        error[needs-cycle]: steps need each other in a circle: web → web
          --> .sallyport.yml:5:3
           |
         5 |   web: { build: {}, needs: [web] }
           |   ^^^ none of them could ever start
           = help: `→` reads `needs`; naming a step's image is a need too
           = more: docs/language.md#needs-cycle
        ");
    }

    #[test]
    fn an_image_is_a_need_too() {
        let steps = "  web: { build: {}, needs: [look] }\n  look: { scan: { image: web } }\n";
        assert!(complaints_about(steps).contains("web → look → web"));
    }
}
