//! Has libEGL take [`ahoy_no_egl`] before Mesa, for processes of a webview that draw nothing by it.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use ahoy_no_egl::FILE_NAME;

/// Where libEGL is told to look for vendors. Who has set the other one wants those alone.
pub const DIRECTORIES: &str = "__EGL_VENDOR_LIBRARY_DIRS";
const FILES: &str = "__EGL_VENDOR_LIBRARY_FILENAMES";
/// Where it looks by itself, and finds Mesa: what serves if ours cannot be loaded.
const STANDARD: [&str; 2] = ["/etc/glvnd/egl_vendor.d", "/usr/share/glvnd/egl_vendor.d"];
/// Vendors are taken in the order of their names.
const FIRST: &str = "00_ahoy.json";

/// What [`DIRECTORIES`] is to be, with the vendor's description in `folder`. None where the library is not
/// there, where libEGL would then find no other, or where the user has said something.
pub fn directories(folder: &Path) -> Option<String> {
    if env::var_os(DIRECTORIES).or(env::var_os(FILES)).is_some() {
        return None;
    }
    let program = env::current_exe().ok()?;
    let library = places(&program).into_iter().find(|place| place.is_file())?;
    describe(folder, &library, &STANDARD.map(Path::new))
}

/// Leaves processes that start from now on to the next vendor, until the program is started again.
pub fn forget(folder: &Path) {
    // Where it was never written, there is nothing to remove.
    let _ = fs::remove_file(folder.join(FIRST));
}

/// Beside the program where it was built, below its prefix where it was installed.
fn places(program: &Path) -> Vec<PathBuf> {
    let beside = program.parent().map(|folder| [folder.join(FILE_NAME), folder.join("deps").join(FILE_NAME)]);
    let below = program.parent().and_then(Path::parent).map(|prefix| prefix.join("lib/ahoy").join(FILE_NAME));
    beside.into_iter().flatten().chain(below).collect()
}

fn describe(folder: &Path, library: &Path, standard: &[&Path]) -> Option<String> {
    let has_vendor = |folder: &&&Path| {
        let names =
            fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.into_iter().any(|name| name.ends_with(".json"))
    };
    standard.iter().find(has_vendor)?;
    // The list's own separator.
    let name = folder.to_str().filter(|name| !name.contains(':'))?;
    let description = serde_json::json!({
        "file_format_version": "1.0.0",
        "ICD": { "library_path": library.to_str()? },
    });
    if let Err(error) = write(&folder.join(FIRST), &description.to_string()) {
        eprintln!("ahoy: {}: {error}. The window takes more memory without that file.", folder.join(FIRST).display());
        return None;
    }
    let standard = standard.iter().filter_map(|folder| folder.to_str());
    Some([name].into_iter().chain(standard).collect::<Vec<_>>().join(":"))
}

/// Another Ahoy may read it at this moment.
fn write(file: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(file).is_ok_and(|before| before == text) {
        return Ok(());
    }
    let new = file.with_extension(format!("{}.new", std::process::id()));
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(&new, text)?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_comes_first_and_the_systems_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, system, empty] = ["ours", "system", "empty"].map(|name| folder.path().join(name));
        fs::create_dir_all(&system).unwrap();
        let library = Path::new("/usr/lib/ahoy").join(FILE_NAME);
        assert_eq!(describe(&ours, &library, &[&empty, &system]), None, "nothing to fall back on");
        fs::write(system.join("50_mesa.json"), "{}").unwrap();
        let wanted = [&ours, &empty, &system].map(|folder| folder.to_str().unwrap()).join(":");
        for _ in 0..2 {
            assert_eq!(describe(&ours, &library, &[&empty, &system]).as_ref(), Some(&wanted));
        }
        let described = fs::read_to_string(ours.join(FIRST)).unwrap();
        let described: serde_json::Value = serde_json::from_str(&described).unwrap();
        assert_eq!(described["ICD"]["library_path"], library.to_str().unwrap());
        assert_eq!(fs::read_dir(&ours).unwrap().count(), 1, "something is left beside it");
        forget(&ours);
        assert_eq!(fs::read_dir(&ours).unwrap().count(), 0);
        assert_eq!(describe(&ours, &library, &[&empty, &system]), Some(wanted));
    }

    #[test]
    fn a_folder_that_the_list_cannot_name_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("50_mesa.json"), "{}").unwrap();
        let ours = folder.path().join("a:b");
        assert_eq!(describe(&ours, Path::new("/l.so"), &[folder.path()]), None);
        assert!(!ours.exists());
    }

    #[test]
    fn the_library_is_looked_for_where_it_was_built_and_where_it_is_installed() {
        let places = places(Path::new("/opt/a/bin/ahoy"));
        let wanted =
            ["/opt/a/bin", "/opt/a/bin/deps", "/opt/a/lib/ahoy"].map(|folder| Path::new(folder).join(FILE_NAME));
        assert_eq!(places, wanted);
    }
}
