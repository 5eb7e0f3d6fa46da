//! Debian packages in a private folder: without root, and nothing of the system is changed.
//!
//! apt-get works on a state of its own (`APT_CONFIG`) in which nothing is installed, so that it resolves all that is
//! needed, fetches, and checks signatures; `dpkg-deb -x` unpacks, no package's script runs. Only the system's way to the
//! network (proxies) is taken over. All this happens in a temporary folder that is renamed into place at the end, under
//! a lock, so that parallel processes do it once.
use super::error::GuestError;
use crate::cache;
use crate::leftovers::{self, Leftover};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const MIRROR: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Unpacked, but of no use here.
const SUPERFLUOUS: &[&str] = &[
    "etc",
    "var",
    "usr/libexec",
    "usr/lib/systemd",
    "usr/share/bash-completion",
    "usr/share/debconf",
    "usr/share/doc",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/perl5",
];
/// The programs that are started; all others are removed.
const USED: &[&str] = &["qemu-system-x86_64", "qemu-system-aarch64", "busybox"];
/// Where programs are.
const PROGRAMS: &[&str] = &["bin", "sbin", "usr/bin", "usr/sbin", "usr/games"];
/// Bits of a mode that give nobody more than he has: neither set-user-id nor set-group-id.
const PLAIN_MODE: u32 = 0o777;
/// Says that what is of no use, and could be of harm, was removed.
const STRIPPED: &str = "stripped";
/// Written last into the folder: which packages are in it.
const STAMP: &str = "packages";

/// Where packages come from, and where they go.
#[derive(Clone, Debug)]
pub struct DebianOptions {
    /// The archive; unless set otherwise `VIRTIO_HDL_MIRROR` of the environment, or `http://deb.debian.org/debian`.
    pub mirror: String,
    /// Folder for what is unpacked; the user's cache folder if none is given.
    pub cache: Option<PathBuf>,
    /// Shows no progress.
    pub quiet: bool,
}

impl Default for DebianOptions {
    fn default() -> Self {
        let mirror = std::env::var("VIRTIO_HDL_MIRROR").ok().filter(|mirror| !mirror.is_empty());
        DebianOptions { mirror: mirror.unwrap_or_else(|| MIRROR.into()), cache: None, quiet: false }
    }
}

impl DebianOptions {
    fn cache(&self) -> Result<PathBuf, GuestError> {
        self.cache.clone().or_else(cache::folder).ok_or(GuestError::NoCache)
    }
}

/// Packages that belong together.
#[derive(Copy, Clone, Debug)]
pub struct DebianPackages<'a> {
    /// What the user calls them.
    pub name: &'a str,
    /// Debian's name of the processor that they are for: `amd64`.
    pub architecture: &'a str,
    /// Where they are looked for; packages of the second suite and of later ones are preferred.
    pub suites: &'a [&'a str],
    /// The packages. What they depend on comes with them.
    pub packages: &'a [&'a str],
    /// Leaves out all whose names begin otherwise.
    pub only: &'a str,
}

impl DebianPackages<'_> {
    /// Where they are or would be unpacked.
    pub fn folder(&self, options: &DebianOptions) -> Result<PathBuf, GuestError> {
        let mut parts = vec![self.only, "suites"];
        if self.architecture != "amd64" {
            parts.push(self.architecture);
        }
        parts.extend(self.suites.iter().chain(&["packages"]).chain(self.packages));
        let key: String = cache::hash(&parts).chars().take(8).collect();
        Ok(options.cache()?.join(format!("{}-{key}", self.name.to_lowercase().replace(' ', "-"))))
    }

    /// Whether they are there already.
    pub fn installed(&self, options: &DebianOptions) -> bool {
        self.folder(options).is_ok_and(|folder| folder.join(STAMP).exists())
    }

    /// The folder with these packages in it, which are fetched the first time. `FOLDER/packages` says which versions
    /// they have; newer ones come when the folder has been removed.
    pub fn install(&self, options: &DebianOptions) -> Result<PathBuf, GuestError> {
        let folder = self.folder(options)?;
        if folder.join(STAMP).exists() && folder.join(STRIPPED).exists() {
            return Ok(folder);
        }
        let cache = options.cache()?;
        fs::create_dir_all(&cache).map_err(GuestError::cache(&cache))?;
        let lock = folder.with_extension("lock");
        let _lock = cache::lock(&lock).map_err(GuestError::cache(&lock))?;
        if folder.join(STAMP).exists() {
            // Earlier versions left all as it came out of the packages.
            strip(&folder).map_err(GuestError::cache(&folder))?;
            return Ok(folder);
        }
        // A fixed name, so that nothing stays of a run that was interrupted.
        let work = folder.with_extension("fetching");
        let _ = fs::remove_dir_all(&work);
        let name = work.file_name().unwrap_or_default();
        let work = tempfile::Builder::new().prefix(name).rand_bytes(0).tempdir_in(&cache);
        let work = work.map_err(GuestError::cache(&cache))?;
        let _leftover = Leftover::path(work.path());
        if !options.quiet {
            note!("fetching {} from {} into {}", self.name, options.mirror, folder.display());
        }
        let progress = match options.quiet {
            true => ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
            false => spinner(),
        };
        let root = Fetch { packages: self, mirror: &options.mirror, work: work.path(), progress: &progress }.run()?;
        progress.finish_and_clear();
        // Without its stamp it is a rest of something.
        let _ = fs::remove_dir_all(&folder);
        fs::rename(&root, &folder).map_err(GuestError::cache(&folder))?;
        Ok(folder)
    }
}

/// Removes what is of no use, and takes what is left the power to act for others: unpacked by root, a program that is
/// set-user-id would be root's.
fn strip(root: &Path) -> io::Result<()> {
    for folder in SUPERFLUOUS {
        let _ = fs::remove_dir_all(root.join(folder));
    }
    // A folder of programs may be a link to another.
    for folder in PROGRAMS.iter().map(|folder| root.join(folder)).filter(|folder| !folder.is_symlink()) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !USED.iter().any(|program| entry.file_name() == *program) {
                fs::remove_file(entry.path())?;
            }
        }
    }
    plain_modes(root)?;
    fs::write(root.join(STRIPPED), "")
}

/// Takes the set-user-id, set-group-id and sticky bits off all that is in a folder.
fn plain_modes(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = path.symlink_metadata()?;
        if metadata.is_symlink() {
            continue;
        }
        let mode = metadata.permissions().mode();
        if mode & 0o7000 != 0 {
            fs::set_permissions(&path, Permissions::from_mode(mode & PLAIN_MODE))?;
        }
        if metadata.is_dir() {
            plain_modes(&path)?;
        }
    }
    Ok(())
}

/// One run of apt-get and dpkg-deb.
struct Fetch<'a> {
    packages: &'a DebianPackages<'a>,
    mirror: &'a str,
    /// Folder of its own.
    work: &'a Path,
    progress: &'a ProgressBar,
}

impl Fetch<'_> {
    /// The folder in which all is unpacked.
    fn run(&self) -> Result<PathBuf, GuestError> {
        if !Path::new(KEYRING).exists() {
            // Without apt-get it is not the keyring that is missing.
            start(Command::new("apt-get").arg("--version"), "apt-get")?;
            return Err(GuestError::NoKeyring { path: KEYRING.into() });
        }
        self.configure()?;
        self.progress.set_message(format!("{}: reading Debian's list of packages", self.packages.name));
        self.apt_get(&["update"])?;
        let (names, bytes) = self.resolve()?;
        let archives = self.fetch(&names, bytes)?;
        let root = self.work.join("root");
        self.progress.set_message(format!("{}: unpacking", self.packages.name));
        let mut stamp = String::new();
        for archive in &archives {
            unpack(archive, &root)?;
            stamp += &format!("{}\n", archive.file_name().unwrap_or_default().to_string_lossy());
        }
        strip(&root).map_err(GuestError::cache(&root))?;
        fs::write(root.join(STAMP), stamp).map_err(GuestError::cache(&root))?;
        Ok(root)
    }

    /// Writes apt's configuration and the files and folders that it names.
    fn configure(&self) -> Result<(), GuestError> {
        let plain = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c) || more.contains(c))
        };
        if !plain(self.mirror, ":/~+%@[]") {
            return Err(GuestError::Name(self.mirror.into(), "mirror"));
        }
        if !plain(self.packages.architecture, "") {
            return Err(GuestError::Name(self.packages.architecture.into(), "architecture"));
        }
        let (mut sources, mut preferences) = (String::new(), String::new());
        for (position, suite) in self.packages.suites.iter().enumerate() {
            if !plain(suite, "/") {
                return Err(GuestError::Name(suite.to_string(), "suite"));
            }
            sources += &format!("deb [signed-by={KEYRING}] {} {suite} main\n", self.mirror);
            if position > 0 {
                preferences += &format!("Package: *\nPin: release n={suite}\nPin-Priority: 900\n\n");
            }
        }
        let work = self.work.display();
        let configuration = format!(
            r#"{network}Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "{work}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "{work}/preferences";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{work}/state";
Dir::State::status "{work}/status";
Dir::Cache "{work}/cache";
Dir::Log "{work}";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::Retries "1";
Acquire::http::Timeout "20";
"#,
            network = network_settings()?,
            architecture = self.packages.architecture
        );
        for folder in ["state/lists/partial", "cache/archives/partial", "archives", "root"] {
            let folder = self.work.join(folder);
            fs::create_dir_all(&folder).map_err(GuestError::cache(&folder))?;
        }
        for (name, text) in [
            ("sources.list", &sources),
            ("preferences", &preferences),
            ("status", &String::new()),
            ("apt.conf", &configuration),
        ] {
            let path = self.work.join(name);
            fs::write(&path, text).map_err(GuestError::cache(&path))?;
        }
        Ok(())
    }

    /// Names of all packages that are needed, and their bytes.
    fn resolve(&self) -> Result<(Vec<String>, u64), GuestError> {
        let arguments = [&["install", "-y", "--print-uris"], self.packages.packages].concat();
        let listed = self.apt_get(&arguments)?;
        // 'URI' NAME_VERSION_ARCHITECTURE.deb BYTES HASH
        let text = String::from_utf8_lossy(&listed.stdout);
        let rows = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (name, _) = words.next()?.split_once('_')?;
            Some((name.to_string(), words.next()?.parse::<u64>().ok()?))
        });
        let (names, bytes): (Vec<_>, Vec<_>) = rows.filter(|(name, _)| name.starts_with(self.packages.only)).unzip();
        if names.is_empty() {
            return Err(self.error(&listed));
        }
        Ok((names, bytes.iter().sum()))
    }

    /// Fetches packages; their files.
    fn fetch(&self, names: &[String], bytes: u64) -> Result<Vec<PathBuf>, GuestError> {
        let folder = self.work.join("archives");
        self.progress.set_message(format!("{}: {} packages", self.packages.name, names.len()));
        self.progress.set_length(bytes);
        self.progress.set_style(style("{spinner} {msg} [{bar:30}] {bytes} of {total_bytes} ({elapsed})"));
        let arguments: Vec<&str> = ["download"].into_iter().chain(names.iter().map(String::as_str)).collect();
        std::thread::scope(|scope| {
            let fetching = scope.spawn(|| self.apt_get(&arguments));
            while !fetching.is_finished() {
                self.progress.set_position(folder_bytes(&folder));
                std::thread::sleep(Duration::from_millis(50));
            }
            fetching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        self.progress.set_style(style("{spinner} {msg} ({elapsed})"));
        let entries = fs::read_dir(&folder).map_err(GuestError::cache(&folder))?;
        let mut archives: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        archives.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
        archives.sort();
        Ok(archives)
    }

    /// Runs apt-get on the private state, in the folder that packages are fetched into.
    fn apt_get(&self, arguments: &[&str]) -> Result<Output, GuestError> {
        let mut command = Command::new("apt-get");
        command.arg("-qq").args(arguments).current_dir(self.work.join("archives"));
        command.env("APT_CONFIG", self.work.join("apt.conf")).env("LC_ALL", "C");
        let output = start(&mut command, "apt-get")?;
        if output.status.success() {
            return Ok(output);
        }
        Err(self.error(&output))
    }

    fn error(&self, output: &Output) -> GuestError {
        let what = format!("{} ({})", self.packages.name, self.packages.packages.join(", "));
        GuestError::Fetch {
            what,
            mirror: self.mirror.into(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The system's proxies, as lines of apt's configuration.
fn network_settings() -> Result<String, GuestError> {
    let dump = start(Command::new("apt-config").arg("dump"), "apt-config")?;
    let text = String::from_utf8_lossy(&dump.stdout);
    let settings = text.lines().filter(|line| line.starts_with("Acquire::http")).map(|line| format!("{line}\n"));
    Ok(settings.collect())
}

fn unpack(archive: &Path, root: &Path) -> Result<(), GuestError> {
    let output = start(Command::new("dpkg-deb").arg("-x").arg(archive).arg(root), "dpkg-deb")?;
    match output.status.success() {
        true => Ok(()),
        false => Err(GuestError::Unpack {
            package: archive.into(),
            said: String::from_utf8_lossy(&output.stderr).trim().into(),
        }),
    }
}

/// Runs a tool of Debian's to its end.
fn start(command: &mut Command, tool: &'static str) -> Result<Output, GuestError> {
    leftovers::output(command).map_err(|error| GuestError::NotDebian { tool, error })
}

/// Bytes of the files in a folder, which may change meanwhile.
fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn spinner() -> ProgressBar {
    let progress = ProgressBar::new_spinner();
    progress.set_style(style("{spinner} {msg} ({elapsed})"));
    progress.enable_steady_tick(Duration::from_millis(120));
    progress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_prefix_holds_no_set_user_id_programs_and_none_that_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        for (name, mode) in [
            ("usr/bin/passwd", 0o4755),
            ("usr/bin/qemu-system-x86_64", 0o755),
            ("usr/sbin/unix_chkpwd", 0o2755),
            ("usr/lib/helper", 0o6751),
            ("usr/lib/data", 0o644),
            ("etc/shadow", 0o640),
        ] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
        std::os::unix::fs::symlink("usr/bin", root.path().join("bin")).unwrap();
        std::os::unix::fs::symlink("/nowhere", root.path().join("usr/lib/link")).unwrap();
        strip(root.path()).unwrap();
        for gone in ["usr/bin/passwd", "usr/sbin/unix_chkpwd", "etc"] {
            assert!(!root.path().join(gone).exists(), "{gone}");
        }
        for (name, mode) in [("bin/qemu-system-x86_64", 0o755), ("usr/lib/helper", 0o751), ("usr/lib/data", 0o644)] {
            let metadata = root.path().join(name).metadata().unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{name}");
        }
        strip(root.path()).unwrap();
    }
}
