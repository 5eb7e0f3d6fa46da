//! The cache of models: folders with a library and its checksum, of which the oldest are given up.
use super::error::ModelError;
use crate::cache;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const LIBRARY: &str = "model.so";
const CHECKSUM: &str = "model.so.sha256";
/// What was used so recently may be on its way to being loaded.
const RECENT: Duration = Duration::from_secs(3600);
/// Rests of versions whose builds had no lock.
const OLD_BUILD: &str = "building-";

/// The library in this folder, if it is there and is what it was when it was made.
pub(super) fn intact(folder: &Path) -> Option<PathBuf> {
    let path = folder.join(LIBRARY);
    let expected = fs::read_to_string(folder.join(CHECKSUM)).ok()?;
    if checksum(&path).ok()? != expected {
        return None;
    }
    // For whoever prunes. In somebody else's cache it cannot be said.
    let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
    Some(path)
}

/// A library of this design by any tools, the one that was used last.
pub(super) fn any(cache: &Path, design: &str) -> Option<PathBuf> {
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(design));
    let mut folders: Vec<_> = entries(cache).filter(named).filter(|path| path.is_dir()).collect();
    folders.sort_by_key(|folder| std::cmp::Reverse(modified(&folder.join(LIBRARY))));
    folders.iter().find_map(|folder| intact(folder))
}

/// Moves a new library into its folder: whole, or not at all, whatever happens to the machine meanwhile.
pub(super) fn put(built: &Path, folder: &Path) -> Result<PathBuf, ModelError> {
    let failed = |error| ModelError::cache(folder, error);
    let put = || -> io::Result<()> {
        let ready = built.with_file_name("ready");
        fs::create_dir(&ready)?;
        fs::rename(built, ready.join(LIBRARY))?;
        fs::write(ready.join(CHECKSUM), checksum(&ready.join(LIBRARY))?)?;
        for path in [ready.join(LIBRARY), ready.join(CHECKSUM), ready.clone()] {
            File::open(path)?.sync_all()?;
        }
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(&ready, folder)?;
        folder.parent().map_or(Ok(()), |cache| File::open(cache)?.sync_all())
    };
    put().map_err(failed)?;
    Ok(folder.join(LIBRARY))
}

/// Removes what killed builds have left, and models until the rest take at most `bytes`, those first that were used
/// longest ago. What others work on is left alone; what cannot be removed stays.
pub(super) fn prune(cache: &Path, bytes: u64) {
    let is_recent = |path: &Path| modified(path).elapsed().map_or(true, |age| age < RECENT);
    for path in entries(cache) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let build = name.ends_with(".building");
        if build || name.starts_with(OLD_BUILD) && !is_recent(&path) {
            remove(&path, &path.with_extension("lock"));
        }
    }
    let mut models: Vec<_> = entries(cache).filter(|folder| folder.join(LIBRARY).exists()).collect();
    models.sort_by_key(|folder| std::cmp::Reverse(modified(&folder.join(LIBRARY))));
    let mut kept = 0;
    for folder in models {
        kept += fs::metadata(folder.join(LIBRARY)).map_or(0, |metadata| metadata.len());
        if kept > bytes && !is_recent(&folder.join(LIBRARY)) {
            remove(&folder, &folder.with_extension("lock"));
        }
    }
}

/// Removes a folder and its lock, unless somebody holds that.
fn remove(folder: &Path, lock: &Path) {
    if let Ok(Some(held)) = cache::try_lock(lock) {
        let _ = fs::remove_dir_all(folder);
        let _ = fs::remove_file(lock);
        drop(held);
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn checksum(path: &Path) -> io::Result<String> {
    Ok(Sha256::digest(fs::read(path)?).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(cache: &Path, name: &str, age: u64) -> PathBuf {
        let work = cache.join("work");
        fs::create_dir(&work).unwrap();
        fs::write(work.join(LIBRARY), vec![1; 1000]).unwrap();
        let path = put(&work.join(LIBRARY), &cache.join(name)).unwrap();
        fs::remove_dir(&work).unwrap();
        let then = SystemTime::now() - Duration::from_secs(age);
        File::open(&path).unwrap().set_modified(then).unwrap();
        path
    }

    #[test]
    fn what_is_damaged_is_not_taken() {
        let cache = tempfile::tempdir().unwrap();
        let path = model(cache.path(), "key-tools", 0);
        let folder = cache.path().join("key-tools");
        let good = fs::read(&path).unwrap();
        assert_eq!(intact(&folder), Some(path.clone()));
        assert_eq!(any(cache.path(), "key"), Some(path.clone()));
        let mut zeroed = good.clone();
        zeroed[400..600].fill(0);
        for damaged in [&[], &good[..500], zeroed.as_slice(), &[good.as_slice(), &[1]].concat()] {
            fs::write(&path, damaged).unwrap();
            assert_eq!((intact(&folder), any(cache.path(), "key")), (None, None));
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(intact(&folder), None);
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert_eq!(intact(&folder), None);
        // A library without a checksum is of an earlier version, or of a machine that lost power.
        fs::remove_file(&path).unwrap();
        fs::write(&path, &good).unwrap();
        assert_eq!(intact(&folder), Some(path));
        fs::remove_file(folder.join(CHECKSUM)).unwrap();
        assert_eq!(intact(&folder), None);
    }

    #[test]
    fn models_that_were_used_longest_ago_are_given_up_first() {
        let cache = tempfile::tempdir().unwrap();
        let hours = [1, 30, 20, 10, 40].map(|hours| model(cache.path(), &format!("m{hours}"), hours * 3600 + 1));
        let new = model(cache.path(), "new", 0);
        let held = cache::lock(&cache.path().join("m40.lock")).unwrap();
        prune(cache.path(), 3000);
        let left = hours.iter().chain([&new]).map(|path| path.exists()).collect::<Vec<_>>();
        assert_eq!(left, [true, false, false, true, true, true], "m40 is somebody's");
        drop(held);
        prune(cache.path(), 0);
        assert!(new.exists(), "somebody may be about to load it");
        assert!(!hours.iter().any(|path| path.exists()));
    }

    #[test]
    fn builds_of_killed_processes_are_removed_and_those_of_living_ones_are_not() {
        let cache = tempfile::tempdir().unwrap();
        let (dead, alive) = (cache.path().join("dead.building"), cache.path().join("alive.building"));
        fs::create_dir(&dead).unwrap();
        fs::create_dir(&alive).unwrap();
        let _held = cache::lock(&cache.path().join("alive.lock")).unwrap();
        prune(cache.path(), 1 << 20);
        assert!(!dead.exists() && alive.exists());
    }
}
