//! The files of an image's layers, each layer apart: what a later layer deleted is still in the
//! image for whoever has it.

use crate::image::{FetchError, LayerKind, Layout};
use crate::step::{ArchiveError, archive};
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::Path;

/// A secret stands in no larger file; the rest is programs and data.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// A layer unpacks to no more than this; more is a bomb.
const LAYER_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// What was unpacked.
#[derive(Debug, Default, Clone, Copy)]
pub struct Told {
    /// Layers.
    pub layers: usize,
    /// Files that are handed on.
    pub files: u64,
    /// What they take in a work area, in whole pages.
    pub bytes: u64,
    /// Links, devices, strange paths, and files that are too large to be looked at.
    pub passed_over: u64,
}

/// Writes `<layer>/<path>` of every layer into a tar, at most `limit` bytes of files.
pub fn unpack(layout: &Layout, into: &Path, limit: u64) -> Result<Told, FetchError> {
    let file = std::fs::File::create(into).map_err(FetchError::Folder)?;
    let mut out = tar::Builder::new(BufWriter::new(file));
    let mut told = Told::default();
    for (number, layer) in layout.layers.iter().enumerate() {
        told.layers += 1;
        let blob = std::fs::File::open(layout.blob(&layer.digest)).map_err(FetchError::Folder)?;
        let reader = opened(BufReader::new(blob), layer.kind)?;
        let mut skipped = 0;
        told.passed_over += archive::each_file::<FetchError>(reader, LAYER_BYTES_MAX, |entry| {
            if entry.bytes > FILE_BYTES_MAX {
                skipped += 1;
                return Ok(());
            }
            let whole_pages = entry.bytes.next_multiple_of(4096);
            told.bytes += whole_pages;
            if told.bytes > limit {
                return Err(FetchError::TooLarge("the files of its layers"));
            }
            let path = format!("{number}/{}", entry.path);
            archive::append(&mut out, &path, 0o644, entry.bytes, entry.content)?;
            told.files += 1;
            Ok(())
        })?;
        told.passed_over += skipped;
    }
    out.into_inner()
        .and_then(|mut inner| inner.flush())
        .map_err(|error| FetchError::Archive(ArchiveError::Read(error)))?;
    Ok(told)
}

fn opened(blob: BufReader<std::fs::File>, kind: LayerKind) -> Result<Box<dyn Read>, FetchError> {
    let reader: Box<dyn Read> = match kind {
        LayerKind::Tar => Box::new(blob),
        LayerKind::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(blob)),
        LayerKind::Zstd => {
            Box::new(zstd::stream::read::Decoder::with_buffer(blob).map_err(FetchError::Folder)?)
        }
    };
    // Headers and padding included, so that a bomb of empty entries ends as well.
    Ok(Box::new(reader.take(LAYER_BYTES_MAX * 2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Layer;
    use contract::digest::Digest;
    use std::collections::BTreeMap;

    const SECRET: &[u8] = b"aws_secret_access_key = example";

    fn packed(kind: LayerKind, files: &[(&str, &[u8])]) -> (LayerKind, Vec<u8>) {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o600);
            // As somebody writes it who means harm: the crate's own setter refuses such paths.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        let bytes = tar.into_inner().unwrap();
        let bytes = match kind {
            LayerKind::Tar => bytes,
            LayerKind::Gzip => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(&bytes).unwrap();
                gzip.finish().unwrap()
            }
            LayerKind::Zstd => zstd::encode_all(bytes.as_slice(), 1).unwrap(),
        };
        (kind, bytes)
    }

    fn layout(folder: &Path, layers: Vec<(LayerKind, Vec<u8>)>) -> Layout {
        std::fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        let store = |(kind, bytes): (LayerKind, Vec<u8>)| {
            let digest = Digest::of(&bytes);
            std::fs::write(folder.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
            Layer { digest, kind }
        };
        Layout::of_layers(folder.to_owned(), layers.into_iter().map(store).collect())
    }

    fn files(tar: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(std::fs::File::open(tar).unwrap());
        let mut files = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(path, content);
        }
        files
    }

    #[test]
    fn what_a_later_layer_deletes_is_still_looked_at_however_the_layers_are_packed() {
        for kind in [LayerKind::Tar, LayerKind::Gzip, LayerKind::Zstd] {
            let folder = tempfile::tempdir().unwrap();
            let layers = vec![
                packed(kind, &[("app/.env", SECRET)]),
                packed(kind, &[("app/.wh..env", b""), ("app/main.py", b"pass")]),
            ];
            let into = folder.path().join("files.tar");
            let told = unpack(&layout(folder.path(), layers), &into, 1 << 20).unwrap();
            assert_eq!(
                (told.layers, told.files, told.passed_over),
                (2, 3, 0),
                "{kind:?}"
            );
            assert_eq!(files(&into)["0/app/.env"], SECRET, "{kind:?}");
        }
    }

    #[test]
    fn what_is_too_large_or_strange_is_counted_and_what_is_too_much_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let large = vec![0; 16 * 1024 * 1024 + 1];
        let layers = vec![packed(
            LayerKind::Gzip,
            &[("data.bin", &large), ("../etc/passwd", b"x"), ("a", SECRET)],
        )];
        let layout = layout(folder.path(), layers);
        let into = folder.path().join("files.tar");
        let told = unpack(&layout, &into, 1 << 20).unwrap();
        assert_eq!((told.files, told.passed_over), (1, 2));
        assert_eq!(files(&into).into_keys().collect::<Vec<_>>(), ["0/a"]);
        let refused = unpack(&layout, &into, 100);
        assert!(
            matches!(refused, Err(FetchError::TooLarge(_))),
            "a page is more"
        );
    }
}
