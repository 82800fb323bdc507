//! The certificate directory: `ca.pem`, `NAME.pem`, `NAME.key`, `NAME.reset`.
//!
//! Reads what a member needs from disk and writes the reset secret at its first start.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use swim_quic::{Identity, IdentityFiles, with_sources};

/// Where the identity of `name` is.
pub(crate) fn identity_files(directory: &Path, name: &str) -> Result<IdentityFiles, String> {
    Ok(IdentityFiles {
        authority: directory.join("ca.pem"),
        certificate: member_file(directory, name, "pem")?,
        key: member_file(directory, name, "key")?,
    })
}

/// Loads the identity of `name`.
pub(crate) fn identity(directory: &Path, name: &str) -> Result<Identity, String> {
    let IdentityFiles { authority, certificate, key } = identity_files(directory, name)?;
    Identity::from_pem_files(authority, certificate, key).map_err(|error| with_sources(&error))
}

/// The reset secret of `name`: read, or made at the first start. `None` where the directory is
/// not writable; the secret is then derived from the private key.
pub(crate) fn reset_secret(directory: &Path, name: &str) -> Result<Option<[u8; 32]>, String> {
    let path = member_file(directory, name, "reset")?;
    match fs::read_to_string(&path) {
        Ok(text) => {
            // An earlier version left an empty file behind where the disk was full.
            if text.trim().is_empty() {
                return Ok(make_secret(&path));
            }
            let bytes = parse_hex(text.trim()).and_then(|bytes| bytes.try_into().ok());
            bytes.map(Some).ok_or_else(|| {
                format!("{} is not 64 hex digits: delete it and a new one is made", path.display())
            })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(make_secret(&path)),
        Err(error) => Err(format!("cannot read {}: {error}; make it readable", path.display())),
    }
}

fn make_secret(path: &Path) -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    SystemRandom::new().fill(&mut secret).ok()?;
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    match write_whole(path, hex.as_bytes()) {
        Ok(()) => Some(secret),
        Err(error) => {
            log::info!("{} was not written ({error}): using the key instead", path.display());
            None
        }
    }
}

/// Writes a file whole or not at all: under another name first.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // What is left of it is of no use, and may be what filled the disk.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn member_file(directory: &Path, name: &str, extension: &str) -> Result<PathBuf, String> {
    if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
        return Err(format!(
            "--name {name:?} cannot be a file name in the certificate directory: use a plain word"
        ));
    }
    Ok(directory.join(format!("{name}.{extension}")))
}

/// Bytes from hex digits, or `None`.
pub(crate) fn parse_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|start| u8::from_str_radix(text.get(start..start + 2)?, 16).ok())
        .collect()
}
