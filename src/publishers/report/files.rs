//! Files that are whole or not there: each is written under a temporary name, and they get their
//! names when all of them are on the disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::ReportFile;

/// Why a report is not in its folder. Nothing half written is left there.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(
        "the disk is full, writing {}: free space and run again; no half file is left", path.display()
    )]
    DiskFull { path: PathBuf },
    #[error("{} cannot be written: {source}; choose another folder", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl WriteError {
    fn at(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { path, source },
        }
    }
}

/// Writes the files of a report into a folder, which is made when it is not there; their paths.
///
/// # Errors
///
/// The folder cannot be written, or the disk is full.
pub fn write(folder: &Path, files: &[ReportFile]) -> Result<Vec<PathBuf>, WriteError> {
    fs::create_dir_all(folder).map_err(|error| WriteError::at(folder, error))?;
    // Two that write the same report do not write the same file.
    let process = std::process::id();
    let temporary = |file: &ReportFile| folder.join(format!(".{}.{process}.part", file.name));
    let clear = || {
        for file in files {
            // What was never made cannot be removed.
            let _ = fs::remove_file(temporary(file));
        }
    };
    for file in files {
        let path = temporary(file);
        let write = || {
            let mut to = File::create(&path)?;
            to.write_all(&file.bytes)?;
            to.sync_all()
        };
        if let Err(error) = write() {
            clear();
            return Err(WriteError::at(&folder.join(&file.name), error));
        }
    }
    let mut paths = Vec::with_capacity(files.len());
    for file in files {
        let path = folder.join(&file.name);
        if let Err(error) = fs::rename(temporary(file), &path) {
            clear();
            return Err(WriteError::at(&path, error));
        }
        paths.push(path);
    }
    // The names outlive a power cut too.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| WriteError::at(folder, error))?;
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publishers::report::Format;

    fn file(name: &str, bytes: &[u8]) -> ReportFile {
        ReportFile { name: name.to_owned(), format: Format::Html, bytes: bytes.to_owned() }
    }

    #[test]
    fn files_are_all_there_or_none_is() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("new/reports");
        let paths = write(&inside, &[file("a.html", b"a"), file("b.pdf", b"b")]).unwrap();
        assert_eq!(fs::read(&paths[1]).unwrap(), b"b");
        // A name that cannot be written, after one that can.
        let error = write(&inside, &[file("c.html", b"c"), file("no/d.pdf", b"d")]).unwrap_err();
        assert!(matches!(error, WriteError::Io { .. }), "{error}");
        let mut names: Vec<_> =
            fs::read_dir(&inside).unwrap().map(|it| it.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a.html", "b.pdf"]);
    }

    #[test]
    fn a_full_disk_is_told() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = WriteError::at(Path::new("r/a.pdf"), full);
        assert_eq!(
            error.to_string(),
            "the disk is full, writing r/a.pdf: free space and run again; no half file is left"
        );
    }
}
