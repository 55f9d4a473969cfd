//! Gives every entry of a tar to the step's user: what goes into a work area belongs to the step.

use super::state::STEP_USER;
use std::io::{self, Read, Write};

const BLOCK: usize = 512;

/// Copies a tar, its entries' owner changed, everything else byte for byte.
pub(super) fn give_to_step(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut header = tar::Header::new_old();
    loop {
        let block = header.as_mut_bytes();
        if !fill(&mut from, block)? || block.iter().all(|byte| *byte == 0) {
            to.write_all(&[0; 2 * BLOCK])?;
            return to.flush();
        }
        let length = header.entry_size()?;
        header.set_uid(u64::from(STEP_USER));
        header.set_gid(u64::from(STEP_USER));
        header.set_cksum();
        to.write_all(header.as_bytes())?;
        let padded = length.next_multiple_of(BLOCK as u64);
        let copied = io::copy(&mut from.by_ref().take(padded), &mut to)?;
        if copied != padded {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Whether a whole block came; an end between two blocks is an end.
fn fill(from: &mut impl Read, block: &mut [u8; BLOCK]) -> io::Result<bool> {
    let mut have = 0;
    while have < BLOCK {
        match from.read(&mut block[have..])? {
            0 if have == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => have += more,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_changes_and_nothing_else() {
        let mut builder = tar::Builder::new(Vec::new());
        let long = format!("{}/file", "deep".repeat(40));
        for path in ["a", long.as_str()] {
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            header.set_mode(0o755);
            header.set_mtime(7);
            builder.append_data(&mut header, path, &b"abc"[..]).unwrap();
        }
        let before = builder.into_inner().unwrap();
        let mut after = Vec::new();
        give_to_step(before.as_slice(), &mut after).unwrap();
        let mut archive = tar::Archive::new(after.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert_eq!(entry.header().uid().unwrap(), u64::from(STEP_USER));
            assert_eq!(entry.header().mtime().unwrap(), 7);
            seen.push((entry.path().unwrap().display().to_string(), text));
        }
        assert_eq!(
            seen,
            [("a".to_owned(), "abc".to_owned()), (long, "abc".to_owned())]
        );
    }
}
