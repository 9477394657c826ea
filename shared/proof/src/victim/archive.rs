//! A ZIP archive of one file that is stored as it is,
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.

/// The archive of one file, which everybody may read.
pub(super) fn of(name: &str, content: &[u8]) -> Vec<u8> {
    let entry = entry(name, content);
    let mut archive = b"PK\x03\x04".to_vec();
    archive.extend(&entry);
    archive.extend(name.as_bytes());
    archive.extend(content);

    let directory = archive.len();
    // Made on Unix; the permissions and the kind of the file are the upper half of its attributes.
    archive.extend(b"PK\x01\x02\x0a\x03");
    archive.extend(&entry);
    // No comment, on the first disk, no internal attributes.
    archive.extend([0; 6]);
    archive.extend(long(0o100_644 << 16));
    archive.extend(long(0));
    archive.extend(name.as_bytes());

    let length = archive.len() - directory;
    // One entry, on one disk.
    archive.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    archive.extend(long(length));
    archive.extend(long(directory));
    archive.extend([0; 2]);
    archive
}

/// The description of the file that is before it and in the directory.
fn entry(name: &str, content: &[u8]) -> Vec<u8> {
    // Version 1.0, no flags, stored, on the first day that the format knows.
    let mut entry = b"\x0a\0\0\0\0\0\0\0\x21\0".to_vec();
    entry.extend(crc32fast::hash(content).to_le_bytes());
    entry.extend(long(content.len()));
    entry.extend(long(content.len()));
    // The length of the name, and no further fields.
    entry.extend(long(name.len()));
    entry
}

/// A number in the four bytes that the format has for it. Nothing here is that long.
fn long(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    /// As Python's `zipfile` writes it.
    #[test]
    fn an_archive_is_as_other_programs_write_it() {
        let expected = b"PK\x03\x04\x0a\0\0\0\0\0\0\0\x21\0\x96\x92\x1a\x0e\x05\0\0\0\x05\0\0\0\x04\0\0\0a.pypass\n\
            PK\x01\x02\x0a\x03\x0a\0\0\0\0\0\0\0\x21\0\x96\x92\x1a\x0e\x05\0\0\0\x05\0\0\0\x04\0\0\0\0\0\0\0\0\0\
            \0\0\xa4\x81\0\0\0\0a.pyPK\x05\x06\0\0\0\0\x01\0\x01\0\x32\0\0\0\x27\0\0\0\0\0";
        assert_eq!(super::of("a.py", b"pass\n"), expected);
    }
}
