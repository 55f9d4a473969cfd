//! What differs between two documents, line by line.

/// A document with more lines that differ than this is shown as wholly replaced: comparing each with
/// each would take long, and nobody reads it.
const LINES_COMPARED_MAX: usize = 1_000;

/// The lines that went (`-`) and came (`+`), in the order of the documents; empty when none did.
pub(super) fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let before = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[before..], &new[before..]);
    let (from, to) = (old.iter().rev(), new.iter().rev());
    let after = from.zip(to).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - after], &new[..new.len() - after]);
    let mut text = String::new();
    let mut say = |sign: char, line: &str| {
        text.push(sign);
        text.push_str(line);
        text.push('\n');
    };
    if old.len() > LINES_COMPARED_MAX || new.len() > LINES_COMPARED_MAX {
        old.iter().for_each(|line| say('-', line));
        new.iter().for_each(|line| say('+', line));
        return text;
    }
    let kept = kept(old, new);
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || kept[i + 1][j] >= kept[i][j + 1]) {
            say('-', old[i]);
            i += 1;
        } else {
            say('+', new[j]);
            j += 1;
        }
    }
    text
}

/// How many lines can be kept of what is left from each pair of lines on.
fn kept(old: &[&str], new: &[&str]) -> Vec<Vec<usize>> {
    let mut kept = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            kept[i][j] = if old[i] == new[j] {
                kept[i + 1][j + 1] + 1
            } else {
                kept[i + 1][j].max(kept[i][j + 1])
            };
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_went_and_came_are_told() {
        for (old, new, told) in [
            ("a\nb\nc\n", "a\nb\nc\n", ""),
            ("a\nb\nc\n", "a\nx\nc\n", "-b\n+x\n"),
            ("a\nb\nc\nd\n", "b\nc\ne\nd\n", "-a\n+e\n"),
            ("", "a\n", "+a\n"),
            ("a\n", "", "-a\n"),
        ] {
            assert_eq!(difference(old, new), told, "{old:?} {new:?}");
        }
    }

    #[test]
    fn very_many_lines_are_told_as_replaced() {
        let many = |word: &str| format!("{word}\n").repeat(LINES_COMPARED_MAX + 1);
        let told = difference(&many("a"), &many("b"));
        assert_eq!(told.lines().count(), 2 * (LINES_COMPARED_MAX + 1));
    }
}
