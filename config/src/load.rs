//! A directory of definition files -> [`Definitions`]: which files count, in which order, and what cannot be read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cases::{Case, parse_cases};
use crate::definitions::Definitions;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::resolve::{Refused, inspect};
use crate::yaml::{MAX_FILE_BYTES, too_large};

/// Deepest nesting of directories that is followed.
const MAX_DIRECTORIES: usize = 16;
/// Most files one directory of definitions may hold.
const MAX_FILES: usize = 10_000;

/// Reads every `*.yaml` and `*.yml` of a directory and of those in it, in the order of names. Hidden files and
/// directories and directories called `tests` are left out. Places name files as seen from the directory.
pub fn load(dir: &Path) -> Result<Definitions, Diagnostics> {
    load_inspected(dir).map_err(|refused| refused.errors)
}

/// As [`load`]; what is refused comes with the SQL that can still be checked.
pub fn load_inspected(dir: &Path) -> Result<Definitions, Refused> {
    let mut errors = Diagnostics::default();
    let mut found = Vec::new();
    collect(dir, dir, &mut Vec::new(), &mut found, &mut errors);
    if found.is_empty() && errors.is_empty() {
        let message = format!("the directory `{}` holds no definition files", dir.display());
        errors.push(at(dir, dir, "DEF-FILE", message).hint("add files ending in .yaml, or name another directory"));
    }
    let files = texts(dir, &found, &mut errors);
    inspect(&files, errors)
}

/// Reads the test files of a directory of definitions: every `*.yaml` and `*.yml` of its directory `tests`, and of those
/// in it. None at all is no error.
pub fn load_cases(dir: &Path) -> (Vec<Case>, Diagnostics) {
    let mut errors = Diagnostics::default();
    let mut found = Vec::new();
    let tests = dir.join("tests");
    if tests.is_dir() {
        collect(dir, &tests, &mut Vec::new(), &mut found, &mut errors);
    }
    let files = texts(dir, &found, &mut errors);
    let (cases, of_shape) = parse_cases(&files);
    errors.extend(of_shape);
    (cases, errors)
}

/// The texts of files, each with its name as seen from the directory.
fn texts(dir: &Path, found: &[PathBuf], errors: &mut Diagnostics) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for path in found {
        match read(path) {
            Ok(Some(text)) => files.push((shown(dir, path), text)),
            Ok(None) => {
                let bytes = fs::metadata(path).map_or(MAX_FILE_BYTES as u64 + 1, |file| file.len());
                errors.push(too_large(&Arc::from(shown(dir, path)), bytes));
            }
            Err(error) => errors.push(unreadable(dir, path, &error)),
        }
    }
    files
}

/// `above`: the directories that lead to this one, as they are found without symbolic links.
fn collect(root: &Path, dir: &Path, above: &mut Vec<PathBuf>, found: &mut Vec<PathBuf>, errors: &mut Diagnostics) {
    if above.len() > MAX_DIRECTORIES {
        let message = format!("directories are nested deeper than {MAX_DIRECTORIES} levels");
        errors.push(at(root, dir, "DEF-SIZE", message).hint("move the files further up"));
        return;
    }
    let listed = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let (entries, itself) = match listed.and_then(|entries| Ok((entries, fs::canonicalize(dir)?))) {
        Ok(listed) => listed,
        Err(error) => return errors.push(unreadable(root, dir, &error)),
    };
    if above.contains(&itself) {
        let message = "the symbolic link leads back to a directory above it";
        errors.push(at(root, dir, "DEF-FILE", message.to_string()).hint("remove the link"));
        return;
    }
    above.push(itself);
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if name != "tests" {
                collect(root, &path, above, found, errors);
            }
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            if found.len() == MAX_FILES {
                let message = format!("the directory holds more than {MAX_FILES} definition files");
                return errors.push(at(root, root, "DEF-SIZE", message));
            }
            found.push(path);
        }
    }
    above.pop();
}

/// The text of a file; `None` when it is larger than a definition file may be.
fn read(path: &Path) -> io::Result<Option<String>> {
    // Looked at before it is opened: a pipe that nobody writes to would be waited for without end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Ok(None);
    }
    let utf8 = |error: std::string::FromUtf8Error| {
        let message = format!("it is not UTF-8 at byte {}", error.utf8_error().valid_up_to());
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    String::from_utf8(bytes).map(Some).map_err(utf8)
}

fn unreadable(root: &Path, path: &Path, error: &io::Error) -> Diagnostic {
    let (what, hint) = match error.kind() {
        io::ErrorKind::NotFound => ("there is no such file or directory".to_string(), "check the path"),
        io::ErrorKind::PermissionDenied => ("reading it is not permitted".to_string(), "check its permissions"),
        io::ErrorKind::NotADirectory => {
            ("it is not a directory".to_string(), "name the directory that holds the files")
        }
        io::ErrorKind::InvalidData => (error.to_string(), "save it as UTF-8"),
        io::ErrorKind::InvalidInput => (error.to_string(), "put a file there, or remove it"),
        _ => (error.to_string(), "check the path"),
    };
    at(root, path, "DEF-FILE", format!("cannot read `{}`: {what}", path.display())).hint(hint)
}

fn at(root: &Path, path: &Path, code: &'static str, message: String) -> Diagnostic {
    let place = Place::new(&shown(root, path).into(), 0, 0);
    Diagnostic::new(&place, code, message)
}

/// A path as seen from the directory of definitions; the directory itself in full.
fn shown(root: &Path, path: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(inner) if !inner.as_os_str().is_empty() => inner.display().to_string(),
        _ => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTITY: &str = "entities:\n  - {name: NAME, keys: {id: int64}}\n";

    fn write(dir: &Path, name: &str, text: &[u8]) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn lines(dir: &Path) -> Vec<String> {
        let root = dir.display().to_string();
        let errors = load(dir).unwrap_err();
        errors.iter().map(|error| error.to_string().replace(&root, "DIR")).collect()
    }

    #[test]
    fn files_are_found_in_directories_and_hidden_and_test_ones_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for (name, entity) in [("b.yaml", "b"), ("a/deep/c.yml", "c"), ("a/z.yaml", "z")] {
            write(dir.path(), name, ENTITY.replace("NAME", entity).as_bytes());
        }
        for name in [".git/x.yaml", "tests/case.yaml", "a/tests/case.yaml", ".hidden.yaml", "README.md", "yaml"] {
            write(dir.path(), name, b"not: [definitions");
        }
        let names: Vec<String> = load(dir.path()).unwrap().entities.into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["b", "c", "z"]);
    }

    #[test]
    fn places_name_files_as_seen_from_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a/one.yaml", ENTITY.replace("NAME", "card").as_bytes());
        write(dir.path(), "two.yml", ENTITY.replace("NAME", "card").as_bytes());
        assert_eq!(
            lines(dir.path()),
            ["two.yml:2:12: the entity `card` is defined twice, first at a/one.yaml:2:12 and again here [DEF-DUP]; \
              rename or remove one of the two"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            lines(dir.path()),
            ["DIR: the directory `DIR` holds no definition files [DEF-FILE]; \
              add files ending in .yaml, or name another directory"]
        );
        assert_eq!(
            lines(&dir.path().join("nowhere")),
            ["DIR: cannot read `DIR`: there is no such file or directory [DEF-FILE]; check the path"]
        );
        write(dir.path(), "latin.yaml", b"entities: \xe9");
        write(dir.path(), "large.yaml", &vec![b'#'; MAX_FILE_BYTES + 1]);
        assert_eq!(
            lines(dir.path()),
            [
                "large.yaml: the file holds 4194305 bytes, more than the 4194304 a definition file may [DEF-SIZE]; \
                 split it into several files",
                "latin.yaml: cannot read `DIR/latin.yaml`: it is not UTF-8 at byte 10 [DEF-FILE]; save it as UTF-8",
            ]
        );
        let file = dir.path().join("latin.yaml");
        assert!(load(&file).unwrap_err().to_string().contains("it is not a directory [DEF-FILE]"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_directory_above_ends() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("b.yaml")).unwrap();
        assert_eq!(
            lines(dir.path()),
            [
                "b.yaml: cannot read `DIR/b.yaml`: there is no such file or directory [DEF-FILE]; check the path",
                "loop: the symbolic link leads back to a directory above it [DEF-FILE]; remove the link",
            ]
        );
    }

    #[test]
    fn directories_are_followed_to_a_depth() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &format!("{}a.yaml", "d/".repeat(MAX_DIRECTORIES + 1)), ENTITY.as_bytes());
        assert!(lines(dir.path())[0].contains("nested deeper than 16 levels [DEF-SIZE]"));
    }

    #[test]
    fn a_file_that_cannot_be_read_hides_no_error_of_the_others() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a.yaml", b"entities: \xe9");
        write(
            dir.path(),
            "b.yaml",
            b"entities: [{name: Card, keys: {id: int64}}]\nservices: [{name: s, features: [v]}]\n",
        );
        let lines = lines(dir.path());
        // The view may be in the file that was not read.
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].starts_with("b.yaml:1:19: `Card` cannot be the name of an entity"), "{lines:?}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        // Whoever opens a pipe waits for the other end.
        let pipe = dir.path().join("pipe.yaml");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("zero.yaml")).unwrap();
        assert_eq!(
            lines(dir.path()),
            [
                "pipe.yaml: cannot read `DIR/pipe.yaml`: it is not a regular file [DEF-FILE]; put a file there, or remove it",
                "zero.yaml: cannot read `DIR/zero.yaml`: it is not a regular file [DEF-FILE]; put a file there, or remove it",
            ]
        );
    }
}
