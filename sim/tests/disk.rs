//! Disk images: what is accepted, what is refused, and how it is said.
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use virtio_hdl::backend::{Disk, Storage, SECTOR_BYTES};

fn image(folder: &tempfile::TempDir, bytes: usize) -> PathBuf {
    let path = folder.path().join("disk.img");
    fs::write(&path, vec![7; bytes]).unwrap();
    path
}

fn refusal(path: &std::path::Path, read_only: bool) -> String {
    match Disk::open(path, read_only) {
        Ok(_) => panic!("{} was accepted", path.display()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn sectors_are_read_and_written_where_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let path = image(&folder, 4 * 512);
    let mut disk = Disk::open(&path, false).unwrap();
    assert_eq!((disk.sectors(), disk.is_read_only()), (4, false));
    disk.write(2, &[9; 512]).unwrap();
    disk.flush().unwrap();
    let mut data = [0; 1024];
    disk.read(1, &mut data).unwrap();
    assert!(data[..512] == [7; 512] && data[512..] == [9; 512]);
    assert!(fs::read(&path).unwrap()[1024..1536] == [9; 512], "in the file too");
}

#[test]
fn nothing_beyond_the_end_is_read_or_written() {
    let folder = tempfile::tempdir().unwrap();
    for mut disk in [Disk::open(&image(&folder, 1024), false).unwrap(), Disk::in_memory(2)] {
        assert!(disk.read(1, &mut [0; 1024]).is_err());
        assert!(disk.read(u64::MAX, &mut [0; 512]).is_err());
        assert!(disk.write(1, &[0; 1024]).is_err());
        assert!(disk.write(2, &[0; 512]).is_err());
    }
    assert_eq!(fs::metadata(folder.path().join("disk.img")).unwrap().len(), 1024, "the image did not grow");
}

#[test]
fn a_read_only_disk_refuses_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = image(&folder, 512);
    let mut disk = Disk::open(&path, true).unwrap();
    assert!(disk.is_read_only());
    assert!(disk.write(0, &[0; 512]).is_err());
    assert!(disk.flush().is_ok());
    assert!(fs::read(&path).unwrap() == [7; 512]);
}

#[test]
fn images_that_cannot_be_disks_are_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let odd = refusal(&image(&folder, 1000), false);
    assert!(odd.contains("has 1000 bytes, which is not a multiple of 512; `truncate -s 1024 "), "{odd}");
    let empty = refusal(&image(&folder, 0), false);
    assert!(empty.contains("has 0 bytes") && empty.contains("truncate -s 512"), "{empty}");
    let missing = refusal(&folder.path().join("none.img"), false);
    assert!(missing.contains("none.img: No such file") && missing.contains("mkfs.ext4 -d"), "{missing}");
    let directory = refusal(folder.path(), false);
    assert!(directory.ends_with("is neither a file nor a block device"), "{directory}");
    assert!(refusal(std::path::Path::new("/dev/null"), true).ends_with("is neither a file nor a block device"));
}

#[test]
fn the_serial_is_20_bytes() {
    assert_eq!(&Disk::in_memory(1).with_serial("virtio-hdl").id(), b"virtio-hdl\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(&Disk::in_memory(1).with_serial("0123456789012345678901234").id(), b"01234567890123456789");
}

#[test]
fn a_disk_in_memory_takes_what_is_written_to_it_only() {
    // An exbibyte.
    let mut disk = Disk::in_memory(1 << 51);
    let data: Vec<u8> = (0..20_000 / 512 * 512).map(|index| (index % 251) as u8 + 1).collect();
    let last = (1 << 51) - data.len() as u64 / 512;
    for sector in [0, 5, 1 << 40, last] {
        disk.write(sector, &data).unwrap();
        let mut found = vec![0; data.len()];
        disk.read(sector, &mut found).unwrap();
        assert!(found == data, "sector {sector}");
    }
    let mut found = vec![9; data.len()];
    disk.read(1 << 50, &mut found).unwrap();
    assert!(found.iter().all(|byte| *byte == 0));
    disk.write(5, &vec![0; data.len()]).unwrap();
    disk.read(5, &mut found).unwrap();
    assert!(found.iter().all(|byte| *byte == 0), "zeros too");
    assert!(disk.write(last + 1, &data).is_err());
}

/// Storage of which one sector cannot be read, and which counts what it is asked for.
struct Faulty {
    written: Arc<Mutex<Vec<u64>>>,
    flush: bool,
}

impl Storage for Faulty {
    fn read(&self, sector: u64, data: &mut [u8]) -> io::Result<()> {
        data.fill(sector as u8);
        match (sector..sector + data.len() as u64 / SECTOR_BYTES).contains(&5) {
            true => Err(io::Error::other("sector 5 is bad")),
            false => Ok(()),
        }
    }

    fn write(&mut self, sector: u64, _data: &[u8]) -> io::Result<()> {
        self.written.lock().unwrap().push(sector);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.flush {
            true => Ok(()),
            false => Err(io::Error::other("it is full")),
        }
    }
}

#[test]
fn a_disk_is_kept_where_its_user_likes() {
    let written = Arc::new(Mutex::new(vec![]));
    let faulty = |flush| Box::new(Faulty { written: written.clone(), flush });
    let mut disk = Disk::on(faulty(true), 8, false);
    let mut sector = [0; SECTOR_BYTES as usize];
    disk.read(4, &mut sector).unwrap();
    assert_eq!(sector[0], 4);
    assert!(disk.read(5, &mut sector).is_err());
    disk.write(7, &sector).unwrap();
    // What the disk does not have, its storage is never asked for.
    assert!(disk.write(8, &sector).is_err() && disk.read(8, &mut sector).is_err());
    assert_eq!(*written.lock().unwrap(), [7]);
    disk.flush().unwrap();
    assert_eq!(disk.flushes(), 1);
    let mut disk = Disk::on(faulty(false), 8, false);
    assert!(disk.flush().is_err() && disk.flush().is_err(), "a flush that failed fails for ever");
    assert_eq!(disk.flushes(), 1);
    let mut read_only = Disk::on(faulty(true), 8, true);
    assert!(read_only.write(0, &sector).is_err());
}
