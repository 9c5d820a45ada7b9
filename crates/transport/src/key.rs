//! The identity: a key in a file that only its owner can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use iroh::SecretKey;

use crate::KeyError;

/// A key is 64 hexadecimal digits; a file much larger is something else, and not read.
const MAX_FILE_BYTES: u64 = 256;

/// The key in a file, or a new one where there is no such file. The file is made whole or not at all, with
/// mode 0600; one that others may read is closed to them. Of two processes that start at once, both get the
/// same key. Blocks.
///
/// # Errors
/// [`KeyError`]; whatever is there is left as it is.
pub fn load_or_create_key(path: &Path) -> Result<SecretKey, KeyError> {
    let inaccessible = |source| KeyError::Inaccessible { path: path.to_owned(), source };
    match File::open(path) {
        Ok(file) => load(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(path, &SecretKey::generate()).map_err(inaccessible)?;
            load(path, File::open(path).map_err(inaccessible)?)
        }
        Err(error) => Err(inaccessible(error)),
    }
}

fn load(path: &Path, file: File) -> Result<SecretKey, KeyError> {
    let inaccessible = |source| KeyError::Inaccessible { path: path.to_owned(), source };
    close_to_others(&file).map_err(inaccessible)?;
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(inaccessible)?;
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim_ascii());
    let bytes: Option<[u8; 32]> = bytes.ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(SecretKey::from).ok_or_else(|| KeyError::Damaged { path: path.to_owned() })
}

/// Under another name first, so that no half of a key ever stands under its own.
fn create(path: &Path, key: &SecretKey) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", fastrand::u64(..)));
    let temporary = folder.join(name);
    let written = write(&temporary, key).and_then(|()| match fs::hard_link(&temporary, path) {
        // Another process was first: its key is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = fs::remove_file(&temporary);
    written?;
    removed?;
    // So that the name survives a power cut as the content does; not every system can do this to a folder.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn write(path: &Path, key: &SecretKey) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{}", data_encoding::HEXLOWER.encode(&key.to_bytes()))?;
    file.sync_all()
}

#[cfg(unix)]
fn close_to_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!("the identity key could be read by others (mode {:o}); it is closed to them now", mode & 0o777);
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Elsewhere a profile's folder is its owner's alone.
#[cfg(not(unix))]
fn close_to_others(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_key_stays_the_same_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity");
        let key = load_or_create_key(&path).unwrap();
        assert_eq!(load_or_create_key(&path).unwrap().to_bytes(), key.to_bytes());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something else was left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(mode(&path), 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            load_or_create_key(&path).unwrap();
            assert_eq!(mode(&path), 0o600);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity");
        let whole = "0123456789abcdef".repeat(4);
        for bad in ["", "hello", &whole[1..], &format!("{whole}0"), &whole.replace('0', "g"), &whole.repeat(100)] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(load_or_create_key(&path), Err(KeyError::Damaged { .. })), "{bad:?} was taken");
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
        let nowhere = folder.path().join("no/such/folder");
        assert!(matches!(load_or_create_key(&nowhere), Err(KeyError::Inaccessible { .. })));
    }

    #[test]
    fn processes_that_start_at_once_get_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity");
        let start = || load_or_create_key(&path).unwrap().to_bytes();
        let keys = std::thread::scope(|scope| [0; 8].map(|_| scope.spawn(start)).map(|thread| thread.join().unwrap()));
        assert!(keys.iter().all(|key| *key == keys[0]));
    }
}
