//! A dump directory: walked in bytewise order, links followed, nothing opened that is not a plain file.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use osgp::reject::Reject;

use crate::error::{OpenError, plain};
use crate::listing::{self, Backing, Found, HEAD, Listing, Member, MeterDir, Place, length};
use crate::names::{Class, classify, hidden};
use crate::pread;

/// Deeper than any dump, shallower than the stack.
const MAX_DEPTH: usize = 128;
/// Links can name one directory many times, and links in it the next: this many repeated visits are enough.
const MAX_REPEATED: usize = 10_000;

pub(crate) fn list(path: &Path, found: &mut Found, stop: &AtomicBool) -> Result<Listing, OpenError> {
    let canonical = fs::canonicalize(path).map_err(|error| OpenError::io(path, &error))?;
    fs::read_dir(path).map_err(|error| OpenError::io(path, &error))?;
    let mut walk = Walk {
        found,
        dirs: Vec::new(),
        stack: vec![canonical],
        root: own_name(path).into(),
        linked: HashSet::new(),
        repeated: 0,
        stop,
    };
    walk.dir(path);
    let dirs = walk.dirs;
    Ok(Listing { input: path.to_string_lossy().into(), backing: Backing::Files, dirs })
}

/// The last component of a path as it was given: `.` has one too.
pub(crate) fn own_name(path: &Path) -> String {
    let mut parts: Vec<OsString> = Vec::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_owned()),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts.pop().map_or_else(|| "meter".to_owned(), |name| name.to_string_lossy().into_owned())
}

struct Walk<'a> {
    found: &'a mut Found,
    dirs: Vec<MeterDir>,
    /// The real paths of the directories that we are in.
    stack: Vec<PathBuf>,
    /// The label of tables that lie in the directory itself.
    root: Arc<str>,
    /// Where links have led, and how often to the same place again.
    linked: HashSet<PathBuf>,
    repeated: usize,
    stop: &'a AtomicBool,
}

impl Walk<'_> {
    fn wrong(&mut self, path: &Path, code: &'static str, reason: impl Into<String>) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.found.rejects.push(Reject::new(code, reason).item(&*name).input(&path.to_string_lossy().into()));
    }

    fn dir(&mut self, path: &Path) {
        let mut entries: Vec<(OsString, Option<fs::FileType>)> = Vec::new();
        match fs::read_dir(path) {
            Ok(list) => {
                for entry in list {
                    match entry {
                        Ok(entry) => entries.push((entry.file_name(), entry.file_type().ok())),
                        Err(error) => {
                            let reason = format!("the directory cannot be read to its end: {}", plain(&error));
                            self.wrong(path, "input.unreadable", reason);
                            break;
                        }
                    }
                }
            }
            Err(error) => {
                let reason = format!("the directory cannot be read: {}; check its permissions", plain(&error));
                return self.wrong(path, "input.unreadable", reason);
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        // The label is the name that the directory was reached by: a link may rename a meter.
        let label: Arc<str> = match path.file_name() {
            Some(name) if self.stack.len() > 1 => name.to_string_lossy().into(),
            _ => self.root.clone(),
        };
        let mut here: Option<usize> = None;
        for (name, kind) in entries {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let child = path.join(&name);
            let text = name.to_string_lossy();
            if hidden(&text) {
                self.found.notes += 1;
                continue;
            }
            if kind.is_some_and(|k| k.is_dir()) {
                let real = self.stack.last().map(|p| p.join(&name)).unwrap_or_default();
                self.enter(&child, real);
                continue;
            }
            let class = classify(&text);
            // A look at the file behind a link, or at its length; notes need neither.
            let link = kind.is_none_or(|k| k.is_symlink());
            if class == Class::Note && !link {
                self.found.notes += 1;
                continue;
            }
            if matches!(class, Class::Table(_)) {
                self.found.tables = true;
            }
            let meta = match fs::metadata(&child) {
                Ok(meta) => meta,
                Err(error) => {
                    // A loop of links without a directory in it ends here as well (ELOOP).
                    let reason = format!("cannot be read: {}; check where it leads and its permissions", plain(&error));
                    self.wrong(&child, "input.unreadable", reason);
                    continue;
                }
            };
            if meta.is_dir() {
                match fs::canonicalize(&child) {
                    Ok(real) => {
                        if !self.linked.insert(real.clone()) {
                            self.repeated += 1;
                        }
                        self.enter(&child, real);
                    }
                    Err(error) => self.wrong(&child, "input.unreadable", plain(&error)),
                }
                continue;
            }
            if class == Class::Note {
                self.found.notes += 1;
                continue;
            }
            if !meta.is_file() {
                self.wrong(&child, "input.not_a_file", "a pipe, socket or device, not a plain file; it is not opened");
                continue;
            }
            let len = meta.len();
            let Class::Table(table) = class else {
                let (code, reason) = listing::not_recognised(&text);
                let head = File::open(&child).and_then(|file| pread::read_up_to_at(&file, 0, HEAD)).unwrap_or_default();
                let input = child.to_string_lossy().into();
                let reject = Reject::new(code, reason).item(&*text).input(&input).offset(0).data(&head);
                self.found.rejects.push(reject.length(length(len)));
                continue;
            };
            let at = *here.get_or_insert_with(|| {
                self.dirs.push(MeterDir { label: label.clone(), path: path.to_owned(), members: Vec::new() });
                self.dirs.len() - 1
            });
            self.dirs[at].members.push(Member { name: name.into_boxed_os_str(), table, len, place: Place::File });
        }
    }

    fn enter(&mut self, path: &Path, real: PathBuf) {
        if self.stack.contains(&real) || self.repeated > MAX_REPEATED {
            let reason = "a link leads back to a directory that it lies in; the link is not followed";
            return self.wrong(path, "input.symlink_loop", reason);
        }
        if self.stack.len() >= MAX_DEPTH {
            let reason = format!("nested more than {MAX_DEPTH} directories deep; not read further");
            return self.wrong(path, "input.unreadable", reason);
        }
        self.stack.push(real);
        self.dir(path);
        self.stack.pop();
    }
}
