//! The seal over the whole file.
//!
//! A C2PA signature leaves bytes of a file uncovered: box headers, padding, the envelope in the container, the time stamp. So a
//! second signature by the same key covers *every* byte. It stands in the unprotected header of the COSE signature, where other
//! validators pass over it, in room that the padding gives up; while it is computed its own bytes and the container's checksums
//! over them count as zero, and both are checked by themselves. A flipped byte is then either under this signature, or in it, or
//! in a checksum.

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use sha2::{Digest, Sha256};

use crate::{
    cbor::{self, Entry},
    container::{Bytes, Place},
};

/// The entry of the unprotected header.
pub(crate) const HEADER: &str = "ai.rixin.seal";
/// What the signature is over: this, then the SHA-256 of the file.
const CONTEXT: &[u8] = b"ai.rixin.seal/1\0";

/// Changes a COSE signature in place so that its padding gives room to a seal of `len` bytes; gives the room.
pub(crate) fn make_room(cose: &mut [u8], len: usize) -> Option<Range<usize>> {
    let parts = cbor::sign1(cose)?;
    let (map, entries) = parts.unprotected;
    let pad = entries.iter().find(|e: &&Entry| e.key == "pad")?;
    cose[pad.bytes.clone()?].iter().all(|b| *b == 0).then_some(())?;
    let mut seal = cbor::string(3, HEADER.as_bytes());
    seal.extend_from_slice(&cbor::string(2, &vec![0; len]));
    let key = cbor::string(3, b"pad");
    // A head of three bytes stands for lengths from 256 to 65535.
    let left = (pad.whole.end - pad.whole.start).checked_sub(seal.len() + key.len() + 3)?;
    if !(256..=0xffff).contains(&left) || entries.len() >= 23 {
        return None;
    }
    let mut new = key;
    new.extend_from_slice(&cbor::string(2, &vec![0; left]));
    new.extend_from_slice(&seal);
    let whole = pad.whole.clone();
    debug_assert_eq!(new.len(), whole.len());
    cose[whole.clone()].copy_from_slice(&new);
    cose[map] += 1;
    Some(whole.end - len..whole.end)
}

/// The seal's bytes in a COSE signature.
pub(crate) fn find(cose: &[u8]) -> Option<Range<usize>> {
    cbor::sign1(cose)?.unprotected.1.into_iter().find(|e| e.key == HEADER)?.bytes
}

/// What the seal signs: the file with these ranges as zeroes.
pub(crate) fn message(file: &mut dyn Bytes, zeroed: &[Range<u64>]) -> io::Result<Vec<u8>> {
    let mut zeroed = zeroed.to_vec();
    zeroed.sort_by_key(|r| r.start);
    let mut hash = Sha256::new();
    file.rewind()?;
    let mut at = 0;
    for range in zeroed {
        copy(&mut file.take(range.start.saturating_sub(at)), &mut hash)?;
        let len = range.end - range.start;
        copy(&mut io::repeat(0).take(len), &mut hash)?;
        at = file.seek(SeekFrom::Start(range.end))?;
    }
    copy(file, &mut hash)?;
    let mut out = CONTEXT.to_vec();
    out.extend_from_slice(&hash.finalize());
    Ok(out)
}

/// SHA-256 over ranges of a file, hexadecimal digits.
pub(crate) fn hash_ranges(file: &mut dyn Bytes, ranges: &[Range<u64>]) -> io::Result<String> {
    let mut hash = Sha256::new();
    for range in ranges {
        file.seek(SeekFrom::Start(range.start))?;
        copy(&mut (&mut *file).take(range.end - range.start), &mut hash)?;
    }
    Ok(crate::hex(&hash.finalize()))
}

/// SHA-256 from here to the end.
pub(crate) fn hash_stream(file: &mut dyn Bytes) -> io::Result<Vec<u8>> {
    let mut hash = Sha256::new();
    copy(file, &mut hash)?;
    Ok(hash.finalize().to_vec())
}

fn copy(from: &mut (impl Read + ?Sized), hash: &mut Sha256) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => hash.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// The ranges that count as zero: the seal and the checksums over it.
pub(crate) fn zeroed(place: &Place, seal: Range<u64>) -> Vec<Range<u64>> {
    let mut out = place.in_file(seal);
    out.extend(place.checksums.iter().map(|(at, _)| at.clone()));
    out
}

/// The checksums over a place as they should be: PNG's CRC-32, big-endian.
pub(crate) fn checksums(file: &mut dyn Bytes, place: &Place) -> io::Result<Vec<(Range<u64>, [u8; 4])>> {
    let mut out = Vec::new();
    for (at, covered) in &place.checksums {
        let data = crate::container::read_range(file, covered)?;
        out.push((at.clone(), crc32fast::hash(&data).to_be_bytes()));
    }
    Ok(out)
}

/// Writes bytes over a range of the JUMBF data.
pub(crate) fn overwrite(
    file: &mut (impl Write + Seek),
    place: &Place,
    range: Range<u64>,
    bytes: &[u8],
) -> io::Result<()> {
    let mut done = 0;
    for part in place.in_file(range) {
        let len = (part.end - part.start) as usize;
        file.seek(SeekFrom::Start(part.start))?;
        file.write_all(&bytes[done..done + len])?;
        done += len;
    }
    Ok(())
}
