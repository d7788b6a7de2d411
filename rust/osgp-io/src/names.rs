//! What a file in a dump is, by its name: a table, a note beside the tables, or something unknown.

use osgp::image::TableId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Table(TableId),
    /// Not a table and nobody expects it to be one: only counted.
    Note,
    Unknown,
}

const NOTES: [&str; 15] =
    ["txt", "md", "json", "xml", "log", "yaml", "yml", "toml", "ini", "html", "pdf", "csv", "py", "sh", "htm"];

/// Whether this file or folder is a system's own: `.DS_Store`, `._BT64.bin`, `__MACOSX`.
pub(crate) fn hidden(name: &str) -> bool {
    name.starts_with('.')
        || name == "__MACOSX"
        || name.eq_ignore_ascii_case("thumbs.db")
        || name.eq_ignore_ascii_case("desktop.ini")
}

/// Classify the last component of a path.
pub(crate) fn classify(name: &str) -> Class {
    if hidden(name) {
        return Class::Note;
    }
    let Some((stem, suffix)) = name.rsplit_once('.') else { return Class::Unknown };
    if suffix.eq_ignore_ascii_case("bin") {
        return TableId::parse(stem).map_or(Class::Unknown, Class::Table);
    }
    if !stem.is_empty() && NOTES.iter().any(|note| suffix.eq_ignore_ascii_case(note)) {
        Class::Note
    } else {
        Class::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for name in ["BT64.bin", "et21.BIN", "BT54.pending.bin"] {
            assert!(matches!(classify(name), Class::Table(_)), "{name}");
        }
        for name in [".DS_Store", "._BT64.bin", "Thumbs.db", "README.txt", "notes.MD"] {
            assert_eq!(classify(name), Class::Note, "{name}");
        }
        for name in ["x.bin", "BT64", "photo.jpg", "BT64.bin.gz", ""] {
            assert_eq!(classify(name), Class::Unknown, "{name}");
        }
    }
}
