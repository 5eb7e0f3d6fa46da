//! The kernel out of a bzImage, which QEMU boots without the bzImage's own decompressor.
//!
//! On an emulated processor that decompressor takes a sixth of a boot with LZ4, a third with zstd; here it is done
//! once, and natively. QEMU enters an uncompressed kernel (ELF) at the address in its PVH note, so only a kernel with
//! `CONFIG_PVH` will do; it stays where it was linked (no KASLR), and all else is as with the bzImage. Offsets are of the
//! Linux/x86 boot protocol.
use crate::cache;
use crate::leftovers::Leftover;
use object::elf::{FileHeader64, NoteType, EM_X86_64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::LittleEndian;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// More than any kernel has; what is longer is no kernel.
const LARGEST: usize = 256 << 20;
/// How a payload of `lz4 -l` begins.
const LZ4_MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// What `lz4 -l` packs at a time.
const LZ4_BLOCK: usize = 8 << 20;
/// How a payload of `zstd` begins.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// XEN_ELFNOTE_PHYS32_ENTRY: where a 32-bit processor without paging enters the kernel.
const PVH_NOTE: NoteType = NoteType(18);

/// The vmlinux beside a bzImage in the cache, unpacked the first time; none, and a line for who debugs, if that cannot
/// be or the kernel cannot be booted so.
pub(super) fn beside(image: &Path) -> Option<PathBuf> {
    let name = image.file_name()?.to_str()?;
    // vmlinuz-VERSION
    let vmlinux = image.with_file_name(name.replacen("vmlinuz", "vmlinux", 1));
    if vmlinux == image {
        return None;
    }
    match vmlinux.exists() || write(image, &vmlinux).inspect_err(|error| why_not(image, error)).is_ok() {
        true => Some(vmlinux),
        false => None,
    }
}

fn why_not(image: &Path, error: &io::Error) {
    tracing::debug!("{} is booted with its own decompressor: {error}", image.display());
}

/// Unpacks a bzImage into a file, once if several processes want to. The file is there whole or not at all.
fn write(image: &Path, vmlinux: &Path) -> io::Result<()> {
    let _lock = cache::lock(&with_suffix(vmlinux, ".lock"))?;
    if vmlinux.exists() {
        return Ok(());
    }
    let content = unpack(&fs::read(image)?)?;
    // A fixed name, so that nothing stays of a run that was interrupted.
    let work = with_suffix(vmlinux, ".unpacking");
    let mut file = File::create(&work)?;
    let _leftover = Leftover::path(&work);
    let written = file.write_all(&content).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&work, vmlinux));
    written.inspect_err(|_| drop(fs::remove_file(&work)))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// The kernel in a bzImage, if QEMU can boot it.
fn unpack(image: &[u8]) -> io::Result<Vec<u8>> {
    let (packed, bytes) = payload(image).ok_or_else(|| io::Error::other("its payload is not where its header says"))?;
    if bytes > LARGEST {
        return Err(io::Error::other(format!("it says that {bytes} bytes are packed in it")));
    }
    let content = match packed.first_chunk() {
        Some(&LZ4_MAGIC) => unpack_lz4(&packed[LZ4_MAGIC.len()..], bytes)?,
        Some(&ZSTD_MAGIC) => unpack_zstd(packed, bytes)?,
        _ => return Err(io::Error::other("it is packed with neither LZ4 nor zstd")),
    };
    if content.len() != bytes {
        return Err(io::Error::other(format!("it has {} bytes packed in it, and says {bytes}", content.len())));
    }
    match has_pvh_entry(&content).map_err(io::Error::other)? {
        true => Ok(content),
        false => Err(io::Error::other("it has no PVH entry (CONFIG_PVH)")),
    }
}

/// What is packed in a bzImage, and how many bytes it unpacks to: `setup_sects` at 0x1f1, `payload_offset` at 0x248,
/// `payload_length` at 0x24c, and the last four bytes of the payload.
fn payload(image: &[u8]) -> Option<(&[u8], usize)> {
    let number = |place: usize| {
        let bytes = image.get(place..)?.first_chunk()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    // 0 means 4, for reasons of age.
    let setup_sectors = match *image.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let begin = (setup_sectors + 1) * 512 + number(0x248)?;
    let payload = image.get(begin..)?.get(..number(0x24c)?)?;
    let (packed, bytes) = payload.split_last_chunk()?;
    Some((packed, usize::try_from(u32::from_le_bytes(*bytes)).ok()?))
}

/// `lz4 -l`: blocks, each behind its length.
fn unpack_lz4(mut packed: &[u8], bytes: usize) -> io::Result<Vec<u8>> {
    let short = || io::Error::other("its payload is cut off");
    let mut content = vec![0; bytes];
    let mut done = 0;
    while !packed.is_empty() {
        let (length, rest) = packed.split_first_chunk().ok_or_else(short)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(io::Error::other)?;
        let (block, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        let end = bytes.min(done + LZ4_BLOCK);
        done += lz4_flex::block::decompress_into(block, &mut content[done..end]).map_err(io::Error::other)?;
        packed = rest;
    }
    content.truncate(done);
    Ok(content)
}

/// `zstd`: one frame. A decoder that is new takes windows of any size, and kernels are packed with one of 128 MiB.
fn unpack_zstd(mut packed: &[u8], bytes: usize) -> io::Result<Vec<u8>> {
    let mut decoder = FrameDecoder::new();
    decoder.init(&mut packed).map_err(io::Error::other)?;
    // One more, so that a frame of just these comes to its end, and none goes on for ever.
    let most = BlockDecodingStrategy::UptoBytes(bytes + 1);
    match decoder.decode_blocks(&mut packed, most).map_err(io::Error::other)? {
        true => Ok(decoder.collect().unwrap_or_default()),
        false => Err(io::Error::other(format!("more than the {bytes} bytes that it says are packed in it"))),
    }
}

/// Whether this is an x86-64 kernel (ELF) with a PVH note, as QEMU looks for it.
fn has_pvh_entry(content: &[u8]) -> object::Result<bool> {
    let header = FileHeader64::<LittleEndian>::parse(content)?;
    let endian = header.endian()?;
    if header.e_machine(endian) != EM_X86_64 {
        return Ok(false);
    }
    for segment in header.program_headers(endian, content)? {
        let Some(mut notes) = segment.notes(endian, content)? else { continue };
        while let Some(note) = notes.next()? {
            if note.name() == b"Xen" && note.n_type(endian) == PVH_NOTE {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::MetadataExt as _;

    /// A kernel of nothing but its PVH note and some bytes.
    fn kernel(machine: u16, note: u32, bytes: usize) -> Vec<u8> {
        let mut content = b"\x7fELF\x02\x01\x01".to_vec();
        content.resize(16, 0);
        // ET_EXEC, e_machine, e_version, e_entry, e_phoff, e_shoff, e_flags, e_ehsize, e_phentsize, e_phnum
        for (number, width) in
            [(2, 2), (machine.into(), 2), (1, 4), (0, 8), (64, 8), (0, 8), (0, 4), (64, 2), (56, 2), (1, 2)]
        {
            content.extend(&u64::to_le_bytes(number)[..width]);
        }
        content.resize(64, 0);
        // PT_NOTE, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
        for (number, width) in [(4, 4), (4, 4), (120, 8), (0, 8), (0, 8), (20, 8), (20, 8), (4, 8)] {
            content.extend(&u64::to_le_bytes(number)[..width]);
        }
        for number in [4, 4, note, u32::from_le_bytes(*b"Xen\0"), 0x0100_0000] {
            content.extend(number.to_le_bytes());
        }
        content.extend((0..).map(|number: u32| (number >> 4) as u8).take(bytes));
        content
    }

    fn good_kernel() -> Vec<u8> {
        kernel(62, 18, 300)
    }

    fn lz4(content: &[u8]) -> Vec<u8> {
        let mut packed = LZ4_MAGIC.to_vec();
        for block in content.chunks(LZ4_BLOCK) {
            let block = lz4_flex::block::compress(block);
            packed.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
            packed.extend(block);
        }
        packed
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
    }

    /// With one sector of setup, and the payload 8 bytes into what follows.
    fn image(packed: &[u8], bytes: usize) -> Vec<u8> {
        let mut image = vec![0; 1024 + 8];
        image[0x1f1] = 1;
        image[0x248..0x24c].copy_from_slice(&8u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&u32::try_from(packed.len() + 4).unwrap().to_le_bytes());
        image.extend(packed);
        image.extend(u32::try_from(bytes).unwrap().to_le_bytes());
        image
    }

    /// All files in a folder.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_packed_comes_out() {
        for bytes in [0, 300, LZ4_BLOCK - 140, LZ4_BLOCK, LZ4_BLOCK + 300] {
            let content = kernel(62, 18, bytes);
            assert!(unpack(&image(&lz4(&content), content.len())).unwrap() == content, "LZ4, {bytes}");
            assert!(unpack(&image(&zstd(&content), content.len())).unwrap() == content, "zstd, {bytes}");
        }
    }

    #[test]
    fn a_kernel_that_cannot_be_booted_so_is_named_the_reason() {
        let good = good_kernel();
        let of = |content: &[u8]| image(&lz4(content), content.len());
        let mut other_magic = of(&good);
        other_magic[1032] = 0x1f;
        let mut far = of(&good);
        far[0x248..0x24c].fill(0xff);
        for (image, reason) in [
            (of(&kernel(183, 18, 0)), "no PVH entry"),
            (of(&kernel(62, 17, 0)), "no PVH entry"),
            (of(b"no kernel"), "ELF"),
            (image(&lz4(&good), good.len() + 1), "and says"),
            (image(&zstd(&good), good.len() + 1), "and says"),
            (image(&lz4(&good), good.len() - 1), "too small"),
            (image(&zstd(&good), good.len() - 1), "and says"),
            (image(&zstd(&vec![0; 1 << 20]), 1000), "more than the 1000 bytes"),
            (image(&lz4(&good), LARGEST + 1), "bytes are packed in it"),
            (other_magic, "neither LZ4 nor zstd"),
            (far, "where its header says"),
            (Vec::new(), "where its header says"),
        ] {
            let error = unpack(&image).unwrap_err().to_string();
            assert!(error.contains(reason), "{reason:?} is not in {error:?}");
        }
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for packed in [lz4(&good_kernel()), zstd(&good_kernel())] {
            let whole = image(&packed, good_kernel().len());
            for length in 0..whole.len() {
                assert!(unpack(&whole[..length]).is_err(), "{length}");
            }
            // The same with a header that says so.
            for length in 0..packed.len() {
                assert!(unpack(&image(&packed[..length], good_kernel().len())).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn a_bit_that_is_wrong_is_refused_or_passes() {
        for packed in [lz4(&good_kernel()), zstd(&good_kernel())] {
            let mut image = image(&packed, good_kernel().len());
            for bit in 0x1f1 * 8..image.len() * 8 {
                image[bit / 8] ^= 1 << (bit % 8);
                // Neither packing has a sum; what matters is that this returns.
                let _ = unpack(&image);
                image[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused(zstd: bool, mut garbage in proptest::collection::vec(any::<u8>(), 4..400), bytes in 0usize..5000) {
            garbage[..4].copy_from_slice(if zstd { &ZSTD_MAGIC } else { &LZ4_MAGIC });
            prop_assert!(unpack(&image(&garbage, bytes)).is_err());
        }
    }

    #[test]
    fn two_at_once_unpack_once() {
        let folder = tempfile::tempdir().unwrap();
        let vmlinuz = folder.path().join("vmlinuz-6.1");
        fs::write(&vmlinuz, image(&lz4(&good_kernel()), good_kernel().len())).unwrap();
        // What an interrupted run leaves.
        fs::write(folder.path().join("vmlinux-6.1.unpacking"), "half a kernel, longer than the whole".repeat(50))
            .unwrap();
        let unpack_one = || {
            let path = beside(&vmlinuz).unwrap();
            (fs::metadata(&path).unwrap().ino(), path)
        };
        let found = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(unpack_one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
        assert_eq!(fs::read(&found[0].1).unwrap(), good_kernel());
        assert_eq!(names(folder.path()), ["vmlinux-6.1", "vmlinux-6.1.lock", "vmlinuz-6.1"]);
    }

    #[test]
    fn without_a_vmlinux_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let vmlinuz = folder.path().join("vmlinuz-6.1");
        assert_eq!(beside(&vmlinuz), None);
        fs::write(&vmlinuz, "no kernel").unwrap();
        assert_eq!(beside(&vmlinuz), None);
        assert_eq!(beside(&folder.path().join("bzImage")), None);
        assert_eq!(names(folder.path()), ["vmlinux-6.1.lock", "vmlinuz-6.1"]);
        // Where nothing can be written it is as if it could not be unpacked.
        fs::write(&vmlinuz, image(&lz4(&good_kernel()), good_kernel().len())).unwrap();
        fs::create_dir(folder.path().join("vmlinux-6.1.unpacking")).unwrap();
        assert_eq!(beside(&vmlinuz), None);
    }
}
