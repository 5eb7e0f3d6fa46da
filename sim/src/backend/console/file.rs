//! A file that keeps what a guest prints.
use super::{ConsoleBackend, ConsoleError};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// A file for what is printed; nothing is typed.
#[derive(Debug)]
pub struct FileConsole {
    file: File,
    lost: u64,
}

impl FileConsole {
    /// Makes the file, or empties it.
    pub fn create(path: &Path) -> Result<Self, ConsoleError> {
        let file = File::create(path).map_err(|error| ConsoleError::File { path: path.into(), error })?;
        Ok(FileConsole { file, lost: 0 })
    }
}

impl ConsoleBackend for FileConsole {
    fn write(&mut self, bytes: &[u8]) -> usize {
        if let Err(error) = self.file.write_all(bytes) {
            if self.lost == 0 {
                tracing::warn!("what the guest prints cannot be written down: {error}");
            }
            self.lost += bytes.len() as u64;
        }
        bytes.len()
    }

    fn read(&mut self, _most: usize) -> Vec<u8> {
        Vec::new()
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}
