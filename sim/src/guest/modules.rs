//! Kernel modules: which files, in which order.
//!
//! The packages have no `modules.dep` (it is made on the target), so what a module needs is read from the module: its
//! section `.modinfo` says `depends=a,b`.
use super::error::GuestError;
use super::kernel::Kernel;
use object::{Object as _, ObjectSection as _};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module, ready to be loaded behind those before it.
#[derive(Debug)]
pub(super) struct Module {
    /// With `_`, as the kernel calls it.
    pub name: String,
    /// The ELF file.
    pub content: Vec<u8>,
}

/// All modules of a kernel.
pub(super) struct Modules<'a> {
    kernel: &'a Kernel,
    files: HashMap<String, PathBuf>,
    built_in: HashSet<String>,
}

impl<'a> Modules<'a> {
    pub fn of(kernel: &'a Kernel) -> Result<Self, GuestError> {
        let (mut files, mut built_in) = (HashMap::new(), HashSet::new());
        if let Some(folder) = &kernel.modules {
            find(&folder.join("kernel"), &mut files)?;
            let list = folder.join("modules.builtin");
            let list = fs::read_to_string(&list).map_err(GuestError::read(&list))?;
            built_in.extend(list.lines().filter_map(|line| name(Path::new(line))));
        }
        Ok(Modules { kernel, files, built_in })
    }

    /// Whether it is built in, or there is a file.
    pub fn has(&self, name: &str) -> bool {
        self.is_built_in(name) || self.files.contains_key(name)
    }

    fn is_built_in(&self, name: &str) -> bool {
        self.kernel.modules.is_none() || self.built_in.contains(name)
    }

    /// Adds a module to a list, behind all that it depends on, unless it is there or built in.
    pub fn add(&self, name: &str, list: &mut Vec<Module>) -> Result<(), GuestError> {
        let name = &name.replace('-', "_");
        if self.is_built_in(name) || list.iter().any(|module| module.name == *name) {
            return Ok(());
        }
        let fail = |why: String| GuestError::Module { module: name.clone(), version: self.kernel.version.clone(), why };
        let path = self.files.get(name).ok_or_else(|| fail("it is neither built in nor there as a file".into()))?;
        let content = fs::read(path).map_err(GuestError::read(path))?;
        let content = match path.extension().and_then(|extension| extension.to_str()) {
            Some("xz") => unpack(&content).map_err(|why| fail(format!("{}: {why}", path.display())))?,
            Some("ko") => content,
            _ => return Err(fail(format!("{} is compressed, and not with xz", path.display()))),
        };
        for needed in dependencies(&content).map_err(|why| fail(format!("{}: {why}", path.display())))? {
            self.add(&needed, list)?;
        }
        list.push(Module { name: name.clone(), content });
        Ok(())
    }
}

/// Collects `NAME.ko`, `NAME.ko.xz` and so on of a folder and those below.
fn find(folder: &Path, files: &mut HashMap<String, PathBuf>) -> Result<(), GuestError> {
    for entry in fs::read_dir(folder).map_err(GuestError::read(folder))? {
        let entry = entry.map_err(GuestError::read(folder))?;
        let path = entry.path();
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => find(&path, files)?,
            false => files.extend(name(&path).map(|name| (name, path))),
        }
    }
    Ok(())
}

/// The module that a file holds.
fn name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (name, compression) = file.split_once(".ko")?;
    (compression.is_empty() || compression.starts_with('.')).then(|| name.replace('-', "_"))
}

fn unpack(content: &[u8]) -> Result<Vec<u8>, lzma_rs::error::Error> {
    let mut unpacked = Vec::new();
    lzma_rs::xz_decompress(&mut &*content, &mut unpacked)?;
    Ok(unpacked)
}

fn dependencies(content: &[u8]) -> Result<Vec<String>, object::Error> {
    let file = object::File::parse(content)?;
    let Some(section) = file.section_by_name(".modinfo") else { return Ok(Vec::new()) };
    let text = String::from_utf8_lossy(section.data()?).into_owned();
    let list = text.split('\0').find_map(|entry| entry.strip_prefix("depends=")).unwrap_or_default();
    Ok(list.split(',').filter(|name| !name.is_empty()).map(Into::into).collect())
}
